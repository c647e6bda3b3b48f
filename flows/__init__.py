"""One file for each procedure; each reads like the runbook, top to bottom."""
