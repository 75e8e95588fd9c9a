"""The audit of a sample: what is certain in it, and what is said of differences."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.audit.compare import compare
from spark_jobs.audit.recompute import recompute
from spark_jobs.quality.self_audit import AUDITED, SKETCHED, Sample, expectation, findings

START = datetime(2019, 10, 5, 10, tzinfo=UTC)
SAMPLE = Sample(START, START + timedelta(hours=3))


def _event(minute: float, session: str, kind: str = "view") -> dict[str, Any]:
    return {
        "_id": f"{session}-{minute}",
        "event_timestamp": START + timedelta(minutes=minute),
        "event_type": kind,
        "product_id": 1,
        "category_name": "toys",
        "brand": "acme",
        "price": 2.0,
        "user_id": 7,
        "user_session": session,
    }


# Visits through the beginning and the end of the sample, and inside of it.
EVENTS = [
    *(_event(minute, "early") for minute in (-20, 5, 30)),
    *(_event(minute, "inside") for minute in (40, 55, 70)),
    *(_event(minute, "another") for minute in (80, 81)),
    *(_event(minute, "open") for minute in (145, 170, 195)),
]
IN_SAMPLE = [one for one in EVENTS if SAMPLE.start <= one["event_timestamp"] < SAMPLE.end]


def _expected() -> dict[str, dict[str, dict[str, Any]]]:
    return expectation(SAMPLE, recompute(IN_SAMPLE))


def test_only_what_nothing_outside_can_change_is_expected() -> None:
    expected = _expected()
    assert {one["user_session"] for one in expected["user_session_analytics"].values()} == {"inside", "another"}
    assert {key.split("|")[0] for key in expected["event_aggregations"]} == {"category_5m", "brand_10m", "category_1h"}
    # That of half past holds the beginning of a visit, too, but its own may lie before the sample.
    starts = {one["window_start"] for one in expected["conversion_funnel"].values()}
    assert starts == {START + timedelta(minutes=75)}


def test_what_is_expected_of_a_part_is_what_the_whole_gives() -> None:
    whole, expected = recompute(EVENTS), _expected()
    for name in AUDITED:
        assert expected[name]
        stored = [whole[name][key] for key in expected[name]]
        assert not compare(stored, expected[name], sketched=SKETCHED), name


@pytest.mark.parametrize(("late", "lost", "severity"), [(0, 0, "critical"), (3, 0, "warning"), (0, 1, "warning")])
def test_differences_are_findings_with_the_documents(late: int, lost: int, severity: str) -> None:
    expected = _expected()["user_session_analytics"]
    (first, second) = expected.values()
    stored = [first | {"total_events": 99}, first | {"_id": "made up"}]
    differences = {"user_session_analytics": compare(stored, expected)}
    (finding,) = findings(differences, SAMPLE, late, lost)
    assert (finding.expectation, finding.severity) == ("user_session_analytics_as_recomputed", severity)
    assert (
        "3 of 2 documents between 2019-10-05 10:00 and 2019-10-05 13:00 UTC: 1 missing, 1 not expected"
        in finding.observed
    )
    assert finding.offending_ids == [second["_id"], "made up", first["_id"]]
    assert finding.offending_values == ["missing", "not expected", "total_events is 99, expected 3"]
    assert ("events came late" in finding.observed) is (severity == "warning")


def test_no_difference_is_no_finding() -> None:
    expected = _expected()["conversion_funnel"]
    assert not list(findings({"conversion_funnel": compare(expected.values(), expected)}, SAMPLE, 0, 0))
