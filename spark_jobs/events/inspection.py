"""What an events file holds, found out before anything is started with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from spark_jobs.errors import JobError
from spark_jobs.events.source import event_time, latest_valid, rows


def inspect(path: Path, progress: Callable[[int], None] = lambda _rows: None) -> dict[str, Any]:
    """Read a file once.

    Returns:
        `rows`, `first_event` and `last_event` (ISO 8601, UTC), and `as_of`: the midnight that ends its last day.

    Raises:
        JobError: The file cannot be read, lacks columns, or holds no event with a readable time.
    """
    count = 0
    first = last = None
    horizon = latest_valid()
    for count, row in enumerate(rows(path), start=1):
        moment = event_time(row)
        if moment and moment <= horizon:
            first = moment if first is None else min(first, moment)
            last = moment if last is None else max(last, moment)
        if count % 1_000_000 == 0:
            progress(count)
    if first is None or last is None:
        raise JobError(f"{path} holds no event with a readable event_time")
    midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    as_of = midnight if midnight == last else midnight + timedelta(days=1)
    return {
        "rows": count,
        "first_event": first.isoformat(),
        "last_event": last.isoformat(),
        "as_of": as_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
