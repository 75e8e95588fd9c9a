"""What the measurement of the replay says."""

from __future__ import annotations

import pytest

from benchmarks.replay import Replayed, report


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ([26_000, 24_000, 25_000], "median 25,000 events/s (target 25,000, reached)"),
        ([26_000, 24_000, 24_999], "median 24,999 events/s (target 25,000, missed)"),
    ],
)
def test_the_median_is_judged_and_its_cpu_shown(rates: list[int], verdict: str) -> None:
    runs = [Replayed(rate, 20.0, {"replay": rate / 1_000, "kafka": 4.0}) for rate in rates]
    lines = report(400_000, runs).splitlines()
    assert "400,000 events, 3 runs: 26,000, 24,000, " in lines[0]
    cpu = sorted(rates)[1] / 1_000
    assert lines[3].split() == ["replay", f"{cpu:.0f}", f"{1e6 * cpu / 400_000:.0f}"]
    assert lines[-1] == verdict
