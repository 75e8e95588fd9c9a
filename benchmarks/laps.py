"""Where the streaming application spends the time of its micro-batches, by its own log."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BATCH = re.compile(r"batch \d+: .* in [\d.]+ s \((?P<laps>[^)]*)\)")
_LAP = re.compile(r"(?P<name>[a-z ]+) (?P<seconds>[\d.]+)")


def seconds_by_step(lines: Iterable[str]) -> dict[str, float]:
    """Return the seconds of each step over all micro-batches, in the order of the log; empty where it names none."""
    total: dict[str, float] = {}
    for line in lines:
        if batch := _BATCH.search(line):
            for lap in _LAP.finditer(batch["laps"]):
                name = lap["name"].strip()
                total[name] = total.get(name, 0.0) + float(lap["seconds"])
    return total
