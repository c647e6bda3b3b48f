"""Measurements beside Kubernetes alone and others, printed as ratios. Not installed, and no test: they take minutes."""
