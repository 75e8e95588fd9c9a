"""The two ways a job ends early on purpose, and how any error is told in one line."""


class JobError(Exception):
    """Bad input or configuration: the message says what to do, and a retry would not help (exit status 2)."""


class JobSkipped(Exception):  # noqa: N818 - skipping is not an error
    """There is nothing to do, for the reason in the message (exit status 99, which Airflow maps to `skipped`)."""


def first_lines(error: BaseException, count: int = 1) -> str:
    """Return the first `count` lines of what an error says, as one; the name of its type where it says nothing."""
    return " ".join((str(error).splitlines() or [type(error).__name__])[:count])
