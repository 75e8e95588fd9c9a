"""Moments of the registry against the collections of the models; sums of windows and visits against events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.ml.registry import COLLECTIONS
from spark_jobs.quality.moments import compare_moments
from spark_jobs.quality.reconcile import Ledger
from spark_jobs.quality.sums import check_sums

NOW = datetime(2019, 11, 2, tzinfo=UTC)
MOMENT = datetime(2019, 11, 1, tzinfo=UTC)


def _runs(*without: str, finished: datetime = MOMENT) -> dict[datetime, dict[str, dict[str, Any]]]:
    models = {model: {"documents": 5, "finished_at": finished} for model in COLLECTIONS if model not in without}
    return {MOMENT: models}


def _counts(**other: int) -> dict[tuple[datetime, str], int]:
    return {(MOMENT, model): other.get(model, 5) for model in COLLECTIONS}


def test_a_whole_moment_is_fine_and_so_is_one_whose_models_were_skipped() -> None:
    assert list(compare_moments(_runs(), _counts(), NOW)) == []
    assert list(compare_moments(_runs("churn", "segments"), {}, NOW)) == []


def test_a_missing_collection_is_named_once_the_training_has_surely_ended() -> None:
    (finding,) = compare_moments(_runs("journeys", "statistics"), {}, NOW)
    assert (finding.expectation, finding.severity) == ("moments_are_complete", "warning")
    assert finding.offending_ids == ["2019-11-01T00:00:00Z"]
    assert finding.offending_values == ["no journey_metrics, statistical_analysis"]
    assert list(compare_moments(_runs("journeys", finished=NOW - timedelta(hours=2)), {}, NOW)) == []


@pytest.mark.parametrize("found", [4, 6])
def test_another_number_of_documents_than_recorded_is_critical(found: int) -> None:
    (finding,) = compare_moments(_runs(), _counts(segments=found), NOW)
    assert (finding.expectation, finding.severity) == ("moments_are_whole", "critical")
    assert finding.offending_values == [f"customer_segments has {found} documents, not 5"]


LEDGER = Ledger(
    driver={"end_offsets": {"0": 100}, "accepted": 100, "late_events": 0, "duplicates": 0, "lost_records": 0},
    enriched=100,
    dead=0,
    by_partition={0: 100},
    settled=True,
    beginning={0: 0},
    end={0: 100},
    sampled=100,
    lost=(),
    now=NOW,
    window_events=100,
    visit_events=100,
)


def test_windows_and_visits_hold_every_event_once() -> None:
    assert list(check_sums(LEDGER)) == []
    assert list(check_sums(replace(LEDGER, window_events=None, visit_events=None))) == []


@pytest.mark.parametrize("counted", [99, 101])
def test_events_that_are_missing_or_twice_are_critical(counted: int) -> None:
    (finding,) = check_sums(replace(LEDGER, visit_events=counted))
    assert (finding.expectation, finding.severity) == ("visits_hold_every_event", "critical")
    assert finding.observed == f"{counted} events counted, 100 enriched (0 known to be late)"


def test_late_events_are_in_no_window_and_make_a_difference_doubtful() -> None:
    driver = {**(LEDGER.driver or {}), "late_events": 3}
    assert list(check_sums(replace(LEDGER, driver=driver, window_events=97, visit_events=97))) == []
    (finding,) = check_sums(replace(LEDGER, driver=driver, window_events=96, visit_events=97))
    assert (finding.expectation, finding.severity) == ("windows_hold_every_event", "warning")


def test_nothing_is_said_while_the_stream_moves() -> None:
    assert list(check_sums(replace(LEDGER, settled=False, visit_events=1))) == []
