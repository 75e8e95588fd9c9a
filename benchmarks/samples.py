"""What a soak looks at: one sample of the running application, and how a series of samples is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.figures import Trend, table, trend
from benchmarks.processes import Usage

# What must not grow with the age of the stream.
JUDGED = {
    "python_mb": "driver, Python, MB resident",
    "jvm_mb": "driver, JVM, MB resident",
    "heap_mb": "JVM heap after collection, MB",
    "state_mb": "state in memory, MB",
    "state_file_mb": "state in files, MB",
    "open_visits": "open visits",
    "checkpoint_mb": "checkpoint folder, MB",
}

_FULL_COLLECTION = re.compile(r"Pause Full .*->(\d+)M\(")


@dataclass(frozen=True)
class Sample:
    """The application at one moment; None where it did not say.

    Attributes:
        seconds: Since the first sample.
        events: Kafka records done.
        rate: Records per second since the sample before.
        python_mb: Resident memory of the driver's Python process.
        jvm_mb: Resident memory of its JVM.
        heap_mb: Used heap after the latest full collection.
        state_mb: Memory of Spark's state stores.
        state_file_mb: Size of their files, as of their latest snapshots.
        open_visits: Visits the driver keeps because they may still change.
        checkpoint_mb: Size of the checkpoint folder.
    """

    seconds: float
    events: int
    rate: float
    python_mb: float | None
    jvm_mb: float | None
    heap_mb: float | None
    state_mb: float | None
    state_file_mb: float | None
    open_visits: float | None
    checkpoint_mb: float | None

    def cells(self) -> list[str]:
        """The sample as text, in the order of `NAMES`."""
        return ["" if value is None else f"{value:.0f}" for value in asdict(self).values()]


NAMES = [one.name for one in fields(Sample)]


def sample(
    seconds: float, before: Sample | None, driver: Mapping[str, Any], used: Usage, heap: float | None, folder: Path
) -> Sample:
    """Build a sample.

    Args:
        seconds: Since the first sample.
        before: The sample before.
        driver: The driver's document of `stream_health`.
        used: What the driver's processes use.
        heap: Heap after the latest full collection in MB.
        folder: The checkpoint folder.
    """
    events = driver.get("accepted", 0) + driver.get("dead_lettered", 0)
    since = (events - before.events, seconds - before.seconds) if before else (0, 1.0)
    return Sample(
        seconds=seconds,
        events=events,
        rate=since[0] / max(since[1], 0.001),
        python_mb=used.resident_mb.get("python"),
        jvm_mb=used.resident_mb.get("java"),
        heap_mb=heap,
        state_mb=_megabytes(driver.get("state_bytes")),
        state_file_mb=_megabytes(driver.get("state_file_bytes")),
        open_visits=driver.get("open_sessions"),
        checkpoint_mb=folder_size(folder) / 1e6,
    )


def _megabytes(size: float | None) -> float | None:
    return None if size is None else size / 1e6


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below `folder`, which may change meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def heap_after_collection(log: str) -> float | None:
    """Return the megabytes left by the latest full collection in a log of `-Xlog:gc`; None before the first."""
    found = _FULL_COLLECTION.findall(log)
    return float(found[-1]) if found else None


def trends(taken: Sequence[Sample]) -> dict[str, Trend]:
    """Return the trend over events of every judged series that has enough values; slopes are per million events."""
    millions = [one.events / 1e6 for one in taken]
    found = {name: trend(millions, [getattr(one, name) for one in taken]) for name in JUDGED}
    return {name: one for name, one in found.items() if one}


def verdict(found: Mapping[str, Trend]) -> str:
    """Lay out the trends, and what was not measured."""
    rows = [["peak of each third of the run", "first", "middle", "last", "slope per 1 M events", "verdict"]]
    for name, one in found.items():
        figures = [f"{value:,.0f}" for value in (one.first, one.middle, one.last)]
        rows.append([JUDGED[name], *figures, f"{one.slope:+,.1f}", one.verdict])
    missing = ", ".join(text for name, text in JUDGED.items() if name not in found)
    return table(rows) + (f"\nnot measured: {missing}" if missing else "")
