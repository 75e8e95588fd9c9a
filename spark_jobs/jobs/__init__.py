"""Entry points, one module per job: `python -m spark_jobs.jobs.<name> --help`."""
