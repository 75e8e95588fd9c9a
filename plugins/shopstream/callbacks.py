"""What happens when a task has failed for good, or a run is overdue: a line in the log, and a message to a webhook."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from shopstream.joblog import redact
from shopstream.quality import QualityFailure
from shopstream.webhook import post

log = logging.getLogger(__name__)

_FINISHED = ("success", "failed")


def failure_summary(context: Mapping[str, Any]) -> str:
    """Describe a failed task in one line: DAG, task, run, try, reason, and where its log is.

    Args:
        context: Airflow's task context; needs `ti`, uses `exception` where there is one.
    """
    ti = context["ti"]
    return (
        f"{ti.dag_id}.{ti.task_id} failed in run {ti.run_id}, try {ti.try_number}: {_reason(context)[0]} "
        f"(log: {ti.log_url})"
    )


def failure_alert(context: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook is told of a failed task; the same keys whatever failed.

    Args:
        context: As of `failure_summary`.

    Returns:
        `event` ("task_failed"), `dag`, `run`, `task`, `map_index`, `try`, `collection` and `expectations` (those of a
        failed quality check, else null and empty), `reason`, `details` (all lines of the reason), `link` (the quality
        report, else the log), `log`.
    """
    ti, exception = context["ti"], context.get("exception")
    failure = exception if isinstance(exception, QualityFailure) else None
    lines = _reason(context)
    return {
        "event": "task_failed",
        "dag": ti.dag_id,
        "run": ti.run_id,
        "task": ti.task_id,
        "map_index": getattr(ti, "map_index", -1),
        "try": ti.try_number,
        "collection": failure.collection if failure else None,
        "expectations": failure.expectations if failure else [],
        "reason": lines[0],
        "details": lines,
        "link": failure.link if failure else ti.log_url,
        "log": ti.log_url,
    }


def report_failure(context: Mapping[str, Any]) -> None:
    """Log the failure of a task that gets no further try, and tell the webhook, if there is one."""
    log.error(failure_summary(context))
    post(failure_alert(context))


def overdue_alert(context: Mapping[str, Any], minutes: int) -> dict[str, Any]:
    """What a webhook is told of a run that takes too long.

    Args:
        context: What Airflow hands to the callback of a deadline: `dag_run` (as its REST API shows it), `deadline`.
        minutes: The time it had.

    Returns:
        `event` ("run_overdue"), `dag`, `run`, `state`, `deadline`, `reason`.
    """
    run = context["dag_run"]
    dag, name = run["dag_id"], run["dag_run_id"]
    return {
        "event": "run_overdue",
        "dag": dag,
        "run": name,
        "state": run.get("state"),
        "deadline": str(context["deadline"]["deadline_time"]),
        "reason": f"{dag} has not finished run {name} within {minutes} minutes",
    }


async def report_overdue(context: Mapping[str, Any], minutes: int) -> None:
    """Log that a run is overdue, and tell the webhook, if there is one. Airflow's triggerer calls it."""
    alert = overdue_alert(context, minutes)
    if alert["state"] in _FINISHED:
        # Airflow forgets the deadline of a run that has succeeded, but not of one that has failed in time.
        return
    log.error("%s (state: %s)", alert["reason"], alert["state"])
    await asyncio.to_thread(post, alert)


def _reason(context: Mapping[str, Any]) -> list[str]:
    return redact(str(context.get("exception") or "")).strip().splitlines() or ["no reason was given"]
