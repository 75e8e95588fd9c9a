from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopstream.pages import charts

START = datetime(2026, 3, 1, tzinfo=UTC)


def readings(*values: float | None) -> list[charts.Reading]:
    return [(START + timedelta(hours=hour), value) for hour, value in enumerate(values)]


def test_values_are_drawn_over_time_from_left_to_right() -> None:
    drawn = charts.line("Documents", readings(0, 50, 100), bottom=0.0)
    assert [(point.x, point.y) for point in drawn.points] == [(0, 100), (50, 50), (100, 0)]
    assert drawn.path == "M0.00 100.00 L50.00 50.00 L100.00 0.00"
    assert [tick.label for tick in drawn.ticks] == ["100", "75", "50", "25", "0"]
    assert (drawn.newest, drawn.points[1].title) == ("100", "2026-03-01 01:00 UTC: 50")


def test_no_value_is_a_gap_and_not_a_zero() -> None:
    drawn = charts.line("Documents", readings(1, None, 3))
    assert [part[0] for part in drawn.path.split() if part[0] in "ML"] == ["M", "M"]
    assert charts.line("Documents", readings(None)).points == ()


def test_counts_have_no_ticks_between_them() -> None:
    drawn = charts.line("Critical findings", readings(0, 1, 1), bottom=0.0, whole=True)
    assert [tick.label for tick in drawn.ticks] == ["1", "0"]


def test_a_flat_line_can_be_seen() -> None:
    for flat in (charts.line("x", readings(5, 5)), charts.line("x", readings(0, 0), bottom=0.0)):
        assert all(0 <= point.y <= 100 for point in flat.points)
        assert len(flat.ticks) > 1
    assert charts.line("rate", readings(100, 100), charts.percent, top=100.0).ticks[0].label == "100 %"


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.booleans())
def test_whatever_is_drawn_is_inside_and_labelled(values: list[float], whole: bool) -> None:
    drawn = charts.line("x", readings(*values), whole=whole)
    assert all(-0.01 <= point.x <= 100.01 and -0.01 <= point.y <= 100.01 for point in drawn.points)
    assert 2 <= len(drawn.ticks) <= 7
    assert all(-0.01 <= tick.position <= 100.01 for tick in drawn.ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (7, "7"), (940, "940"), (12_500, "12.5k"), (1_234_567, "1.23M"), (-2e9, "-2G")]
)
def test_short_numbers(value: float, text: str) -> None:
    assert charts.short(value) == text


def test_nearly_all_is_not_all() -> None:
    assert charts.percent(99.999) == "99.99 %"
    assert charts.percent(100) == "100 %"
