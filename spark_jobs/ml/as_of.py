"""The moment a training run looks back from, and how it is written."""

from __future__ import annotations

from datetime import UTC, datetime

from spark_jobs.errors import JobError

_COMPACT = "%Y%m%dT%H%M%SZ"


def parse_as_of(text: str) -> datetime:
    """Read a moment from the command line.

    Args:
        text: ISO 8601 date and time with `Z` or an offset, for instance `2019-11-01T00:00:00Z`.

    Returns:
        The moment in UTC, without fractions of a second: `_id`s have none.

    Raises:
        JobError: It is no such moment.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise JobError(f"--as-of {text!r} is no ISO 8601 time (example: 2019-11-01T00:00:00Z)") from None
    if moment.tzinfo is None:
        raise JobError(f"--as-of {text!r} has no time zone (write {text}Z if it is UTC)")
    return moment.astimezone(UTC).replace(microsecond=0)


def iso(moment: datetime) -> str:
    """Write a UTC moment as in `_id`s: `2019-11-01T00:00:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: datetime) -> str:
    """Write a UTC moment as a folder name: `20191101T000000Z`."""
    return moment.strftime(_COMPACT)


def parse_compact(name: str) -> datetime:
    """Read a folder name that `compact` has made."""
    return datetime.strptime(name, _COMPACT).replace(tzinfo=UTC)


def documents_of(moment: str) -> dict[str, str]:
    """Return the condition on `_id` that all documents of a moment meet, and no others.

    Such a range needs no index but the one that is always there: "}" follows "|" in ASCII.

    Args:
        moment: In ISO form.
    """
    return {"$gte": f"{moment}|", "$lt": f"{moment}}}"}
