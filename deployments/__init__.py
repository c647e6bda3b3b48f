"""Every way in: command line, served deployments and schedules."""
