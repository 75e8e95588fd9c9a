"""Dead letters as tables for a terminal or a log: a line of figures each, and below it the text of a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from spark_jobs.events.dead_letters import ReasonCount
from spark_jobs.mongo import Document

# The columns of a table, then the text below them.
_Row = tuple[tuple[str, ...], str]


def reason_table(counts: Iterable[ReasonCount], width: int | None) -> list[str]:
    """Return the lines of a table with one row per reason, each with an example.

    Args:
        counts: What to show, in this order.
        width: Characters of a line at most; None cuts nothing.
    """
    rows = [
        ((one.reason, str(one.open), str(one.resubmitted), _time(one.first), _time(one.last)), ": ".join(one.example))
        for one in counts
    ]
    return _table([(("REASON", "OPEN", "RE-SUBMITTED", "FIRST", "LAST"), ""), *rows], width)


def letter_table(letters: Iterable[Document], width: int | None) -> list[str]:
    """Return the lines of a table with one row per dead letter, each with its text.

    Args:
        letters: Documents of `dead_letter_events`.
        width: As in `reason_table`.
    """
    rows = [
        ((one["_id"], _time(one["kafka_timestamp"]), _state(one), ",".join(one["reasons"])), one.get("raw") or "")
        for one in letters
    ]
    return _table([(("ID", "ARRIVED", "STATE", "REASONS"), ""), *rows], width)


def _state(letter: Document) -> str:
    if moment := letter.get("resubmitted_at"):
        return f"re-submitted {_time(moment)}"
    return "corrected" if "corrected" in letter else "open"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _table(rows: Sequence[_Row], width: int | None) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*(columns for columns, _ in rows), strict=True)]
    lines = []
    for columns, text in rows:
        lines.append("  ".join(f"{value:<{room}}" for value, room in zip(columns, widths, strict=True)).rstrip())
        # Cut first: a record may be a megabyte long.
        lines += [f"    {_printable(text[:width])}"] if text else []
    return [line[:width] for line in lines]


def _printable(text: str) -> str:
    """Spell out what would break the line or give orders to the terminal: strangers wrote this text."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
