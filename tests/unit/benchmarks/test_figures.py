"""Percentiles, trends and the verdict of a soak."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.figures import percentile, table, trend

LENGTH = 60
EVENTS = [float(number) for number in range(LENGTH)]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.501, 51), (0.95, 95), (0.99, 99), (0.995, 100), (1.0, 100)]
)
def test_percentile_is_a_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    values = list(range(1, 101))
    random.Random(1).shuffle(values)
    assert percentile(values, share) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def noise(number: int) -> float:
    return 3 * math.sin(number * 7.3)


@pytest.mark.parametrize(
    ("series", "grows"),
    [
        pytest.param([500 + noise(n) for n in range(LENGTH)], False, id="constant"),
        pytest.param([500 + 5 * n + noise(n) for n in range(LENGTH)], True, id="leak"),
        pytest.param([500 + 1.5 * n + noise(n) for n in range(LENGTH)], True, id="slow leak"),
        pytest.param([1500 - 1000 * math.exp(-n / 4) for n in range(LENGTH)], False, id="warm-up that levels off"),
        pytest.param([800 - 2.0 * n for n in range(LENGTH)], False, id="shrinks"),
        pytest.param([500 if n < 45 else 1500 for n in range(LENGTH)], True, id="late jump"),
        pytest.param([300 + 200 * (n % 5) for n in range(LENGTH)], False, id="saw-tooth"),
        pytest.param([300 + (200 + 3 * n) * (n % 5) for n in range(LENGTH)], True, id="saw-tooth with rising peaks"),
        pytest.param(
            [37_000 if n % 4 < (3 if n >= 40 else 1) else 25_000 for n in range(LENGTH)],
            False,
            id="two levels, the higher one met more often later",
        ),
        pytest.param([0.0] * LENGTH, False, id="nothing"),
    ],
)
def test_verdict_tells_a_leak_from_a_warm_up(series: list[float], grows: bool) -> None:
    found = trend(EVENTS, series)
    assert found is not None
    assert found.grows is grows
    assert found.verdict == ("grows" if grows else "flat")


def test_slope_is_that_of_the_last_two_thirds_and_peaks_are_exceeded_by_a_tenth() -> None:
    found = trend(EVENTS, [100.0 * n if n < 20 else 2000.0 + 3 * n for n in range(LENGTH)])
    assert found is not None
    assert found.slope == pytest.approx(3.0)
    assert (found.first, found.last) == (1700.0, 2000.0 + 3 * 57)


def test_gaps_are_left_out() -> None:
    series: list[float | None] = [None if n % 2 else 10.0 * n for n in range(LENGTH)]
    found = trend(EVENTS, series)
    assert found is not None
    assert found.slope == pytest.approx(10.0)


@pytest.mark.parametrize("known", [0, 5])
def test_few_values_have_no_trend(known: int) -> None:
    assert trend(EVENTS, [1.0] * known + [None] * (LENGTH - known)) is None


def test_values_at_one_place_have_no_slope() -> None:
    found = trend([5.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert found is not None
    assert found.slope == 0.0


def test_columns_of_a_table_are_aligned() -> None:
    assert table([["", "events"], ["noop", "5"], ["shopstream", "1,000"]]).splitlines() == [
        "            events",
        "noop             5",
        "shopstream   1,000",
    ]
