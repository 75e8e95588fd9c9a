"""The two ways a job ends early on purpose."""


class JobError(Exception):
    """Bad input or configuration: the message says what to do, and a retry would not help (exit status 2)."""


class JobSkipped(Exception):  # noqa: N818 - skipping is not an error
    """There is nothing to do, for the reason in the message (exit status 99, which Airflow maps to `skipped`)."""
