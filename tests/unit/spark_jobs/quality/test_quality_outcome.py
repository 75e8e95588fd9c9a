"""Severities, statuses and the stored document."""

import json
from datetime import UTC, datetime

import pytest

from spark_jobs.quality.outcome import Finding, Outcome, Severity, run_status

STARTED = datetime(2019, 11, 1, tzinfo=UTC)


def _finding(severity: Severity, number: int = 1) -> Finding:
    return Finding(
        f"expect_it:{number}", severity, "It means this. Do that.", "3 of 9 documents", {}, ["a", "b", "c", "d"]
    )


def _outcome(*severities: Severity, evaluated: int = 9, error: str | None = None) -> Outcome:
    findings = tuple(_finding(severity, number) for number, severity in enumerate(severities))
    return Outcome("things", STARTED, 1.5, 9, 12, evaluated, findings, error)


@pytest.mark.parametrize(
    ("outcome", "status", "critical", "warnings"),
    [
        (_outcome(), "passed", 0, 0),
        (_outcome("warning", "warning"), "warning", 0, 2),
        (_outcome("critical", "warning"), "failed", 1, 1),
        (_outcome(evaluated=0), "empty", 0, 0),
        (_outcome(evaluated=0, error="no suite"), "error", 1, 0),
    ],
)
def test_status_is_the_worst_finding(outcome: Outcome, status: str, critical: int, warnings: int) -> None:
    assert (outcome.status, outcome.critical, outcome.warnings) == (status, critical, warnings)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([_outcome(), _outcome(evaluated=0)], "passed"),
        ([_outcome(), _outcome("warning")], "warning"),
        ([_outcome("warning"), _outcome("critical")], "failed"),
        ([_outcome(evaluated=0, error="no suite")], "failed"),
    ],
)
def test_a_run_is_as_good_as_its_worst_check(outcomes: list[Outcome], status: str) -> None:
    assert run_status(outcomes) == status


def test_document_is_keyed_so_that_a_retry_overwrites() -> None:
    document = _outcome("critical", "warning").document("run 1", "run-1/index.html", None)
    assert document["_id"] == "run 1|things"
    assert document == _outcome("critical", "warning").document("run 1", "run-1/index.html", None)
    figures = {name: document[name] for name in ("status", "evaluated", "successful", "critical", "warnings")}
    assert figures == {"status": "failed", "evaluated": 9, "successful": 7, "critical": 1, "warnings": 1}
    assert (document["checked_documents"], document["total_documents"]) == (9, 12)
    assert document["failures"][0]["offending_ids"] == ["a", "b", "c", "d"]


def test_metrics_are_json_and_bounded() -> None:
    severities: list[Severity] = ["critical"] * 30
    metrics = _outcome(*severities).metrics()
    assert len(metrics["findings"]) == 10
    assert metrics["critical"] == 30
    json.dumps(metrics)


def test_metrics_of_a_check_that_could_not_be_made_say_why() -> None:
    assert _outcome(evaluated=0, error="no suite").metrics()["findings"] == ["CRITICAL things: no suite"]


def test_lines_for_the_log() -> None:
    line = _finding("critical").line("things")
    assert line == "CRITICAL things: expect_it:1: 3 of 9 documents. It means this. Do that. [a, b, c, d]"
    assert _outcome("warning").summary().split(None, 2)[2] == (
        "9 of 12 documents, 9 expectations, 0 critical, 1 warnings, 1.5 s"
    )
    assert "error    no suite" in _outcome(evaluated=0, error="no suite").summary()
