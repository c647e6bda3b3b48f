"""The steps that flows are made of: Prefect tasks, one file per thing they touch."""
