"""What the measurement of the hourly checks says."""

from __future__ import annotations

import pytest

from benchmarks.quality import HOURLY, Check, report


@pytest.mark.parametrize(("seconds", "verdict"), [(59.9, "reached"), (60.1, "missed")])
def test_the_hourly_run_is_judged_and_all_are_told(seconds: float, verdict: str) -> None:
    checks = [Check("first run", 200.0, 800.0, 2_000_000), Check(HOURLY, seconds, 700.4, 90_000)]
    lines = report(1_060_000, "secantusd-rs", checks).splitlines()
    assert lines[0].endswith("cores, 1,060,000 events in the database, document store secantusd-rs")
    assert lines[3].split() == ["first", "run", "2,000,000", "200.0", "800"]
    assert lines[4].split() == ["hourly", "run", "90,000", f"{seconds:.1f}", "700"]
    assert lines[-1] == f"hourly run {seconds:.1f} s (target 60, {verdict})"
