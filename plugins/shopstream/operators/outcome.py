"""What the end of a job means for its task, whatever ran it."""

from __future__ import annotations

import re
import signal
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from shopstream.runtimes.base import JobOutcome

EXIT_BAD_INPUT = 2
EXIT_SKIPPED = 99


def checked_job(job: str) -> str:
    """Return the name of a job.

    Raises:
        ValueError: It cannot be the name of a module; that is a mistake in a DAG file.
    """
    if not re.fullmatch(r"[a-z][a-z_]*", job):
        raise ValueError(f"{job!r} cannot be the name of a job's module")
    return job


def metrics_or_raise(job: str, outcome: JobOutcome) -> dict[str, Any]:
    """Turn a job's end into what Airflow understands.

    Args:
        job: Name of the job, for messages.
        outcome: How it ended.

    Returns:
        The metrics of a job that succeeded; see `SparkJobOperator` for the exceptions.
    """
    if outcome.status == 0:
        if outcome.result is None:
            raise AirflowException(f"job {job} ended well but wrote no result")
        return outcome.result
    last_line = next((line for line in reversed(outcome.tail) if line.strip()), "it printed nothing")
    if outcome.status == EXIT_SKIPPED:
        raise AirflowSkipException(outcome.skipped or last_line)
    if outcome.status == EXIT_BAD_INPUT:
        raise AirflowFailException(f"job {job}: {outcome.error or last_line}")
    lines = "\n".join(outcome.tail)
    ending = outcome.fault or _ending(outcome.status)
    raise AirflowException(f"job {job} {ending}: {outcome.error or last_line}\nIts last lines:\n{lines}")


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}"
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{hint}"
