"""The lines of a container's log: each once, however often the API is asked. Pure."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from shopstream.joblog import JobLog

joblog = logging.getLogger("shopstream.job")


def new_lines(lines: Iterable[str], after: str | None) -> Iterator[tuple[str, str]]:
    """Yield the lines of a log that are newer than a time stamp.

    Args:
        lines: Lines as the API gives them with `timestamps`: RFC 3339 with nanoseconds, a space, the text.
        after: Time stamp of the last line that was taken; None for all.

    Yields:
        Time stamp and text of each line. Time stamps have a fixed width, so they compare as text.
    """
    for line in lines:
        stamp, _, text = line.rstrip("\n").partition(" ")
        if _is_stamp(stamp) and (after is None or stamp > after):
            yield stamp, text


def seconds_since(stamp: str | None, now: datetime) -> int | None:
    """Return how far back to ask for lines after `stamp`: a second too far, for clocks that differ; None for all."""
    if stamp is None:
        return None
    # Nodes may stamp in a time zone of their own.
    moment = datetime.fromisoformat(stamp).replace(microsecond=0)
    return max(1, math.ceil((now - moment).total_seconds()) + 1)


def show(lines: Iterable[str], after: str | None, output: JobLog) -> str | None:
    """Write new lines to the task's log, as the local runtime does.

    Args:
        lines: See `new_lines`.
        after: See `new_lines`.
        output: Knows the level of each line, and what must not be shown.

    Returns:
        Time stamp of the last line taken.
    """
    for stamp, text in new_lines(lines, after):
        after = stamp
        level, shown = output.read(text)
        joblog.log(level, "%s", shown)
    return after


def _is_stamp(text: str) -> bool:
    return len(text) >= 20 and text[4] == "-" and text[10] == "T"
