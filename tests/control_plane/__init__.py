"""Against a real API server with simulated nodes; no root needed."""
