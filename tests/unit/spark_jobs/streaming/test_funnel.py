"""The pure parts of the conversion funnel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spark_jobs.streaming.funnel import _runs, document, window_of

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("minutes", "start"), [(0, 0), (14.999, 0), (15, 15), (29, 15), (-0.001, -15)])
def test_windows_are_half_open(minutes: float, start: int) -> None:
    assert window_of(NOON + timedelta(minutes=minutes)) == NOON + timedelta(minutes=start)


def test_windows_far_apart_are_queried_apart() -> None:
    windows = [NOON, NOON + timedelta(minutes=45), NOON + timedelta(hours=9)]
    assert _runs(windows) == [(NOON, NOON + timedelta(minutes=45)), (NOON + timedelta(hours=9),) * 2]


def test_rates_without_a_denominator_are_zero_and_means_null() -> None:
    totals = {
        "total_sessions": 4,
        "sessions_with_view": 4,
        "sessions_with_cart": 0,
        "sessions_with_purchase": 0,
        "avg_session_duration": 1.5,
        "purchase_value": 0.0,
    }
    funnel = document(NOON, totals)
    assert (funnel["view_to_cart_rate"], funnel["cart_to_purchase_rate"], funnel["avg_purchase_value"]) == (
        0.0,
        0.0,
        None,
    )
    assert funnel["_id"] == "2019-10-01T12:00:00Z"
