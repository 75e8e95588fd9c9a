"""The verdict on a check: what `spark_jobs.jobs.validate` reports of it, judged and told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from shopstream.assets import DIMENSION_COLLECTIONS, MODEL_COLLECTIONS

log = logging.getLogger(__name__)

# What `data_quality` offers in its trigger form.
CHECKS = (
    "enriched_events",
    "event_aggregations",
    "user_session_analytics",
    "conversion_funnel",
    *MODEL_COLLECTIONS,
    *DIMENSION_COLLECTIONS,
    "dead_letter_events",
    "model_runs",
    "data_quality_results",
    "stream_health",
    "reconciliation",
    "self_audit",
)


# A run takes minutes. One that is not done before the next one is half due keeps others waiting.
OVERDUE = timedelta(minutes=30)


class QualityFailure(AirflowFailException):
    """A check found something critical. No retry: judging again says the same.

    Args:
        message: For the log and the UI.
        collection: What was checked.
        expectations: The expectations that are critical; none where the check could not be made.
        link: The report.
    """

    def __init__(self, message: str, collection: str, expectations: Sequence[str], link: str) -> None:
        super().__init__(message)
        self.collection = collection
        self.expectations = list(expectations)
        self.link = link


def verdict(name: str, figures: Mapping[str, Any]) -> str:
    """Tell what a check found, one log line per finding, and judge it.

    Args:
        name: What was checked.
        figures: The job's result for it: `status`, `evaluated`, `checked`, `total`, `critical`, `warnings`, `message`,
            `expectations`, `report` (path), `report_url`, and `findings`, lines that begin with CRITICAL or WARNING.

    Returns:
        One line that sums up.

    Raises:
        QualityFailure: Something critical was found, or the check could not be made.
    """
    page = figures.get("report_url") or figures["report"]
    critical = []
    for line in _findings(name, figures):
        if line.startswith("CRITICAL"):
            critical.append(line)
            log.error("%s", line)
        else:
            log.warning("%s", line)
    log.info("Report: %s", page)
    count = int(figures["critical"])
    if count:
        listed = "\n".join(critical)
        message = f"{name}: {count} critical finding{'s' if count > 1 else ''}, report: {page}\n{listed}"
        raise QualityFailure(message, name, figures["expectations"], page)
    said = f" ({figures['message']})" if figures.get("message") else ""
    return (
        f"{name}: {figures['status']}, {figures['checked']:,} of {figures['total']:,} documents, "
        f"{figures['evaluated']} expectations, {figures['warnings']} warnings{said}, report: {page}"
    )


def _findings(name: str, figures: Mapping[str, Any]) -> Iterator[str]:
    yield from figures["findings"]
    left_out = figures["critical"] + figures["warnings"] - len(figures["findings"])
    if left_out > 0:
        yield f"WARNING {name}: {left_out} more findings are in the report"
