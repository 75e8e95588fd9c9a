"""The pure parts of the conversion funnel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from spark_jobs.streaming.funnel import REMEMBERED, WINDOW, KnownWindows, Totals, _runs, document, window_of
from spark_jobs.streaming.open_visits import Changes
from spark_jobs.streaming.times import EPOCH
from spark_jobs.streaming.visits import Share

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("minutes", "start"), [(0, 0), (14.999, 0), (15, 15), (29, 15), (-0.001, -15)])
def test_windows_are_half_open(minutes: float, start: int) -> None:
    assert window_of(NOON + timedelta(minutes=minutes)) == NOON + timedelta(minutes=start)


def test_windows_far_apart_are_queried_apart() -> None:
    windows = [NOON, NOON + timedelta(minutes=45), NOON + timedelta(hours=9)]
    assert _runs(windows) == [windows[:2], windows[2:]]


def visit(start: datetime = NOON, minutes: float = 0.0, bought: float = 0.0) -> Share:
    return Share(start, start + timedelta(minutes=minutes), True, bool(bought), bool(bought), bought)


def test_rates_without_a_denominator_are_zero_and_means_null() -> None:
    totals = Totals()
    for _ in range(4):
        totals.count(visit(minutes=1.5), 1)
    funnel = document(NOON, totals)
    assert funnel["avg_session_duration"] == 1.5
    assert (funnel["view_to_cart_rate"], funnel["cart_to_purchase_rate"], funnel["avg_purchase_value"]) == (
        0.0,
        0.0,
        None,
    )
    assert funnel["_id"] == "2019-10-01T12:00:00Z"


def test_what_is_added_and_taken_away_leaves_nothing_behind() -> None:
    totals = Totals()
    totals.count(visit(minutes=7), 1)
    for times in (1, -1):
        # Prices may be so large that their sum in a visit is none any more.
        for amount in (0.1, 0.2, 1e15, 1.7e308, float("inf"), float("inf"), 0.3):
            totals.count(visit(minutes=min(amount, 9), bought=amount), times)
            assert document(NOON, totals)["total_sessions"]
    assert totals == Totals(sessions=1, views=1, duration=timedelta(minutes=7))


def test_windows_are_known_once_they_have_been_counted() -> None:
    known = KnownWindows(EPOCH)
    first, longer = visit(minutes=1), visit(minutes=2, bought=3.5)
    assert known.update(Changes(after=[first])) == {NOON: None}
    known.learn({NOON: Totals(1, 1, duration=timedelta(minutes=1))})
    other = visit(NOON + WINDOW)
    windows = known.update(Changes(before=[first], after=[longer, other]))
    assert windows == {NOON: Totals(1, 1, 1, 1, timedelta(minutes=2), Fraction(3.5)), NOON + WINDOW: None}


@pytest.mark.parametrize("after", [None, NOON])
def test_what_may_change_behind_its_back_is_counted_every_time(after: datetime | None) -> None:
    known = KnownWindows(after, EPOCH, [visit()])
    known.learn({NOON: Totals()})
    assert known.update(Changes(after=[visit()])) == {NOON: None}


@pytest.mark.parametrize("start", [NOON, NOON + timedelta(minutes=29)])
def test_a_window_begins_with_what_is_known_to_be_stored(start: datetime) -> None:
    known = KnownWindows(EPOCH, start - timedelta(minutes=29), [visit(start, minutes=1)])
    expected = Totals(2, 2, duration=timedelta(minutes=3))
    assert known.update(Changes(after=[visit(start, minutes=2)])) == {window_of(start): expected}


def test_a_window_that_began_before_the_known_visits_is_unknown() -> None:
    known = KnownWindows(EPOCH, NOON + timedelta(seconds=1), [visit(NOON + timedelta(minutes=1))])
    assert known.update(Changes(after=[visit(NOON + WINDOW), visit()])) == {
        NOON + WINDOW: Totals(1, 1),
        NOON: None,
    }


@pytest.mark.parametrize("complete_from", [None, EPOCH])
def test_the_newest_windows_are_remembered(complete_from: datetime | None) -> None:
    known = KnownWindows(EPOCH, complete_from)
    windows = [NOON + number * WINDOW for number in range(REMEMBERED + 1)]
    known.learn({window: Totals() for window in reversed(windows)})
    found = known.update(Changes(after=[visit(window) for window in windows]))
    assert [window for window, totals in found.items() if totals is None] == windows[:1]
