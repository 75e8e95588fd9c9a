from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from shopstream.assets import DIMENSIONS, MODELS
from shopstream.templates import as_of, collections_to_check, events_file, safe_id

NOON = datetime(2019, 11, 1, 12, tzinfo=UTC)


def run(end: datetime | None = None, run_after: datetime = NOON) -> SimpleNamespace:
    return SimpleNamespace(data_interval_end=end, run_after=run_after)


def test_a_run_with_an_interval_looks_back_from_its_end() -> None:
    assert as_of(run(end=NOON, run_after=NOON + timedelta(days=400)), None) == "2019-11-01T12:00:00Z"


@pytest.mark.parametrize(
    ("run_after", "expected"),
    [
        (NOON, "2019-11-01T12:00:00Z"),
        (NOON + timedelta(hours=5, minutes=59, microseconds=7), "2019-11-01T12:00:00Z"),
        (NOON + timedelta(hours=6), "2019-11-01T18:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=7))) + timedelta(hours=1), "2019-11-01T12:00:00Z"),
    ],
)
def test_a_run_without_interval_counts_from_the_last_boundary(run_after: datetime, expected: str) -> None:
    assert as_of(run(run_after=run_after), None) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2019-11-01", "2019-11-01T00:00:00Z"),
        ("2019-11-01T00:00:00Z", "2019-11-01T00:00:00Z"),
        ("2019-11-01T00:00:00.000Z", "2019-11-01T00:00:00Z"),
        ("2019-11-01T02:00:00+02:00", "2019-11-01T00:00:00Z"),
    ],
)
def test_the_parameter_wins(given: str, expected: str) -> None:
    assert as_of(run(end=NOON), given) == expected


def test_a_malformed_parameter_is_not_retried() -> None:
    with pytest.raises(AirflowFailException, match="as_of='yesterday'"):
        as_of(run(), "yesterday")


def test_the_events_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_EVENTS", "/default.csv")
    assert events_file("/mine.csv") == "/mine.csv"
    assert events_file(None) == "/default.csv"
    monkeypatch.delenv("SHOPSTREAM_EVENTS")
    with pytest.raises(AirflowFailException, match="no events file"):
        events_file("")


def test_safe_ids_hold_no_special_characters() -> None:
    assert safe_id("manual__2025-01-31T12:00:00+00:00") == "manual__2025-01-31T12_00_00_00_00"


@pytest.mark.parametrize(
    ("given", "triggering", "option"),
    [
        (None, [], ""),
        ([], [MODELS], ""),
        (None, [DIMENSIONS], "--collections=products,users"),
        (None, [DIMENSIONS, MODELS], ""),
        (["users", "customer_segments"], [DIMENSIONS], "--collections=users,customer_segments"),
    ],
)
def test_new_dimensions_alone_have_only_themselves_checked(
    given: list[str] | None, triggering: list[Asset], option: str
) -> None:
    assert collections_to_check(given, triggering) == option
