"""The steps that flows are made of: Prefect tasks, one file for each thing that they touch."""
