"""The verdict on a validation: what `spark_jobs.jobs.validate` reports, judged and told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

log = logging.getLogger(__name__)

# What `data_quality` offers in its trigger form.
CHECKS = (
    "enriched_events",
    "event_aggregations",
    "user_session_analytics",
    "conversion_funnel",
    "user_feature_engineering",
    "customer_segments",
    "churn_predictions",
    "product_recommendations",
    "time_series_analysis",
    "statistical_analysis",
    "journey_metrics",
    "products",
    "users",
    "dead_letter_events",
    "model_runs",
    "data_quality_results",
    "stream_health",
    "reconciliation",
)


def verdict(report: Mapping[str, Any]) -> str:
    """Tell what a validation found, one log line per finding, and judge it.

    Args:
        report: The job's result: `status`, `critical`, `warnings`, `report` (path), `report_url`, and `collections`: by
            name the figures of each check with its `findings`, lines that begin with CRITICAL or WARNING.

    Returns:
        One line that sums up.

    Raises:
        AirflowFailException: Something critical was found. No retry: judging again says the same.
    """
    page = report.get("report_url") or report["report"]
    critical = []
    for line in _findings(report):
        if line.startswith("CRITICAL"):
            critical.append(line)
            log.error("%s", line)
        else:
            log.warning("%s", line)
    log.info("Report: %s", page)
    count = int(report["critical"])
    if count:
        listed = "\n".join(critical)
        raise AirflowFailException(f"{count} critical finding{'s' if count > 1 else ''}, report: {page}\n{listed}")
    checks = len(report["collections"])
    return f"{report['status']}: {checks} checks, no critical findings, {report['warnings']} warnings, report: {page}"


def _findings(report: Mapping[str, Any]) -> Iterator[str]:
    for name, figures in report["collections"].items():
        yield from figures["findings"]
        left_out = figures["critical"] + figures["warnings"] - len(figures["findings"])
        if left_out > 0:
            yield f"WARNING {name}: {left_out} more findings are in the report"
