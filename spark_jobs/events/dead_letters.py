"""Dead letters: how many there are for which reason, and how one becomes a record of the topic again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.errors import JobError
from spark_jobs.events.record import Record
from spark_jobs.mongo import Document
from spark_jobs.streaming.parse import MAX_ID_LENGTH

COLLECTION = "dead_letter_events"
# Not re-submitted yet: the field is null or missing.
OPEN: Document = {"resubmitted_at": None}
# Bytes that were no UTF-8: what is stored in their place would be accepted as if it were what somebody had sent. Only
# this rule refuses them; under any other reason the character is one that the record itself had.
DAMAGED: Document = {"corrected": {"$exists": False}, "reasons": "not_json_object", "raw": {"$regex": "\ufffd"}}
# What may surround a JSON value.
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class ReasonCount:
    """The dead letters that have one reason.

    Attributes:
        reason: The rule they break.
        open: How many were not re-submitted yet.
        resubmitted: How many were.
        first: Kafka timestamp of the oldest of both.
        last: Kafka timestamp of the newest of both.
        example: `_id` and `raw` of one of them, an open one if there is one.
    """

    reason: str
    open: int
    resubmitted: int
    first: datetime
    last: datetime
    example: tuple[str, str]


def count_by_reason(db: Database[Document]) -> list[ReasonCount]:
    """Count dead letters by reason, the most open ones first; a letter with several reasons counts for each."""
    done = {"$cond": [{"$ifNull": ["$resubmitted_at", False]}, 1, 0]}
    figures = {
        "letters": {"$sum": 1},
        "resubmitted": {"$sum": done},
        "first": {"$min": "$kafka_timestamp"},
        "last": {"$max": "$kafka_timestamp"},
    }
    counts = []
    for group in db[COLLECTION].aggregate([{"$unwind": "$reasons"}, {"$group": {"_id": "$reasons", **figures}}]):
        these = {"reasons": group["_id"]}
        example = db[COLLECTION].find_one(these | OPEN) or db[COLLECTION].find_one(these) or {}
        counts.append(
            ReasonCount(
                reason=group["_id"],
                open=group["letters"] - group["resubmitted"],
                resubmitted=group["resubmitted"],
                first=group["first"],
                last=group["last"],
                example=(example.get("_id", ""), example.get("raw") or ""),
            )
        )
    return sorted(counts, key=lambda one: (-one.open, -one.resubmitted, one.reason))


def selection(reason: str | None, counts: Sequence[ReasonCount]) -> Document:
    """Return the filter of dead letters that have a reason, or of all.

    Raises:
        JobError: There are dead letters, but none for this reason.
    """
    known = sorted(one.reason for one in counts)
    if reason and known and reason not in known:
        raise JobError(f"no dead letter has the reason {reason!r} (there are: {', '.join(known)})")
    return {"reasons": reason} if reason else {}


def record(letter: Document) -> Record:
    """Return key and value to send for a dead letter.

    Args:
        letter: Its document: `_id`, and `corrected` or else `raw`.

    Returns:
        The key (`user_session`, or nothing) and the text, unchanged but for one thing: a JSON object without an
        `event_id` that the stream would take gets the letter's own `_id`. So the event is the same one however often
        the letter is sent.
    """
    text = letter["corrected"] if "corrected" in letter else letter.get("raw") or ""
    found = _json_object(text)
    if found is None:
        return b"", text.encode()
    fields, end = found
    session = fields.get("user_session")
    # A JSON escape may stand for half a character, which no encoding has.
    key = session.encode(errors="replace") if isinstance(session, str) else b""
    if not _is_identity(fields.get("event_id")):
        # The last of two fields of one name counts; and the rest stays as it was written, to the last digit.
        own = f'{"," if fields else ""}"event_id":{json.dumps(letter["_id"])}'
        text = text[: end - 1] + own + text[end - 1 :]
    return key, text.encode()


def _json_object(text: str) -> tuple[dict[str, Any], int] | None:
    """Return the object that a text is and where it ends, or None where the stream would not see one."""
    try:
        fields = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return (fields, len(text.rstrip(_BLANKS))) if isinstance(fields, dict) else None


def _refuse(constant: str) -> Any:
    """Refuse NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError(f"{constant} is no JSON")


def _is_identity(event_id: Any) -> bool:
    """Whether the stream would take it as an event's `_id`."""
    return isinstance(event_id, str) and 0 < len(event_id) <= MAX_ID_LENGTH
