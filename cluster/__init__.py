"""Plain Python, no Prefect: nodes, workloads, plans, records, locks, and adapters to Kubernetes, SSH, power, backups."""
