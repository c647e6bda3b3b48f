"""Pure functions and small files: no cluster, no network."""
