"""What happens when a task has failed for good."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from shopstream.joblog import redact

log = logging.getLogger(__name__)


def failure_summary(context: Mapping[str, Any]) -> str:
    """Describe a failed task in one line: DAG, task, run, try, reason, and where its log is.

    Args:
        context: Airflow's task context; needs `ti`, uses `exception` where there is one.
    """
    ti = context["ti"]
    lines = redact(str(context.get("exception") or "")).strip().splitlines()
    reason = lines[0] if lines else "no reason was given"
    return f"{ti.dag_id}.{ti.task_id} failed in run {ti.run_id}, try {ti.try_number}: {reason} (log: {ti.log_url})"


def report_failure(context: Mapping[str, Any]) -> None:
    """Log the failure of a task that gets no further try."""
    log.error(failure_summary(context))
