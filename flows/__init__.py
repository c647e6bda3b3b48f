"""One file per procedure; each reads like the runbook, top to bottom."""
