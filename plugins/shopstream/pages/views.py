"""What each page shows: results become tables and charts, ready for a template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shopstream.pages import charts, history
from shopstream.pages.history import Period
from shopstream.pages.results import Result, ResultStore
from shopstream.quality import CHECKS

RUNS = "runs"
# Span: name, width of a column, columns. Whatever is chosen, a row has about as many cells as fit on a screen.
SPANS = {
    RUNS: ("Newest runs", None, 30),
    "week": ("7 days", timedelta(hours=6), 28),
    "month": ("30 days", timedelta(days=1), 30),
}
# Results of a collection that a page about it looks at: ten days of hourly runs.
HISTORY = 240
_LISTED = 30


def overview(store: ResultStore, span: str, now: datetime, collections: Sequence[str] | None = None) -> dict[str, Any]:
    """Collections by time.

    Args:
        store: The results.
        span: One of `SPANS`; anything else counts as the first of them.
        now: A moment in the last column, UTC.
        collections: Those to show; None for all.
    """
    span = span if span in SPANS else RUNS
    _, width, count = SPANS[span]
    if width is None:
        # Some runs check one collection, none checks more than these.
        results = _within(store.newest((count + 1) * len(CHECKS)), collections)
        periods = history.by_run(results, count)
    else:
        results = _within(store.since(now - width * count), collections)
        periods = history.by_span(results, width, now, count)
    latest, standing = history.latest(results), history.standing(periods)
    return {
        "span": span,
        "spans": {name: label for name, (label, *_) in SPANS.items()},
        "periods": periods,
        "latest": latest,
        "rows": [_row(name, periods, results, latest[name]) for name in history.ordered(latest, CHECKS)],
        "worst": history.worst(result["status"] for result in latest.values()),
        "last": max((result["started_at"] for result in latest.values()), default=None),
        "pass_rate": history.pass_rate(latest.values()),
        "critical": sum(result["critical"] for result in latest.values()),
        "warnings": sum(result["warnings"] for result in latest.values()),
        "charts": [
            charts.line(
                "Expectations that hold", history.values(standing, lambda one: one.pass_rate), charts.percent, top=100.0
            ),
            charts.line("Critical findings", history.values(standing, _critical), bottom=0.0, whole=True),
            charts.line("Warnings", history.values(standing, _warnings), bottom=0.0, whole=True),
        ],
    }


def run(store: ResultStore, run_id: str) -> dict[str, Any] | None:
    """What a run found; None where there is no such run."""
    results = store.of_run(run_id)
    if not results:
        return None
    period = Period(run_id, results[0]["started_at"])
    for name in history.ordered((result["collection"] for result in results), CHECKS):
        period.results[name] = next(result for result in results if result["collection"] == name)
    return {"run_id": run_id, "period": period}


def collection(store: ResultStore, name: str) -> dict[str, Any] | None:
    """The history of a collection; None where it was never checked."""
    results = store.of_collection(name, HISTORY)
    if not results:
        return None
    return {
        "collection": name,
        "latest": results[-1],
        "newest": results[: -_LISTED - 1 : -1],
        "count": len(results),
        "offences": history.offences(results),
        "charts": [
            charts.line("Documents", _figures(results, "total_documents"), bottom=0.0, whole=True),
            charts.line(
                "Expectations that hold",
                [(one["started_at"], history.pass_rate([one])) for one in results],
                charts.percent,
                top=100.0,
            ),
            charts.line("Seconds", _figures(results, "seconds"), bottom=0.0),
        ],
    }


def expectation(store: ResultStore, name: str, key: str) -> dict[str, Any] | None:
    """The history of an expectation; None where its collection was never checked."""
    results = store.of_collection(name, HISTORY)
    if not results:
        return None
    verdicts = history.verdicts(results, key)
    # Only the document as a whole says what a finding means, and which documents offend.
    failed = next((one for one in reversed(verdicts) if one.failure is not None), None)
    finding = None
    if failed is not None:
        whole = next(one for one in store.of_run(failed.result["run_id"]) if one["collection"] == name)
        finding = next(one for one in whole["failures"] if one["expectation"] == key)
    return {
        "collection": name,
        "key": key,
        "verdicts": verdicts[: -_LISTED - 1 : -1],
        "count": len(verdicts),
        "failures": sum(one.failure is not None for one in verdicts),
        "last_failed": failed,
        "finding_of_last": finding,
        "drawn": charts.line(
            "Documents that offend",
            [(one.result["started_at"], one.share) for one in verdicts],
            charts.share,
            bottom=0.0,
        ),
    }


def _row(name: str, periods: Sequence[Period], results: Sequence[Result], newest: Result) -> dict[str, Any]:
    own = [result for result in results if result["collection"] == name]
    return {
        "collection": name,
        "newest": newest,
        "cells": [(period, period.results.get(name)) for period in periods],
        "documents": charts.line("Documents", _figures(own, "total_documents")),
    }


def _within(results: list[Result], collections: Sequence[str] | None) -> list[Result]:
    return results if collections is None else [one for one in results if one["collection"] in collections]


def _figures(results: Sequence[Result], field: str) -> list[charts.Reading]:
    # A check that could not be made counted nothing: a gap, not a fall to zero.
    return [(one["started_at"], None if one["status"] == "error" else float(one[field])) for one in results]


def _critical(period: Period) -> float | None:
    return float(period.critical) if period.results else None


def _warnings(period: Period) -> float | None:
    return float(period.warnings) if period.results else None
