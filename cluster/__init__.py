"""Plain Python, no Prefect: nodes, workloads, plans, records, locks; adapters to Kubernetes, SSH, power, backups."""
