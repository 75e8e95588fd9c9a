"""Sends dead letters to Kafka again, and remembers which."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.errors import JobError, JobSkipped
from spark_jobs.events.dead_letter_tables import reason_table
from spark_jobs.events.dead_letters import COLLECTION, DAMAGED, OPEN, count_by_reason, record, selection
from spark_jobs.events.record import LARGEST, Record, size
from spark_jobs.events.replay import Target, send
from spark_jobs.mongo import Document

log = logging.getLogger(__name__)

# The embedded server's time for `$in` grows with the square of the list.
_IDS_PER_QUERY = 100
_LOG_WIDTH = 160


@dataclass
class Resubmission:
    """The dead letters of one run.

    Attributes:
        db: The platform's database.
        ids: Their `_id`s, in the order of sending. Known before the first is sent: those that are refused again come
            back as new dead letters, which must not be sent in the same run.
        damaged: How many are left out because their bytes are not known any more; they stay open.
        marked: How many of them are marked as re-submitted.
        corrected: How many of those sent had a corrected text.
        by_reason: Those sent by reason; a letter with several reasons counts for each.
        too_large: `_id`s of those that Kafka would not take; they stay open.
    """

    db: Database[Document]
    ids: list[str]
    damaged: int = 0
    marked: int = 0
    corrected: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    too_large: set[str] = field(default_factory=set)

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yield number (from 1) and record of each letter, but for those deleted meanwhile and those too large.

        What somebody corrected, or what lacks an id and gets one, can outgrow what Kafka takes.
        """
        for start in range(0, len(self.ids), _IDS_PER_QUERY):
            chunk = self.ids[start : start + _IDS_PER_QUERY]
            found = {letter["_id"]: letter for letter in self.db[COLLECTION].find({"_id": {"$in": chunk}})}
            for number, letter_id in enumerate(chunk, start=start + 1):
                if letter_id not in found:
                    continue
                letter = found[letter_id]
                again = record(letter)
                if size(again) > LARGEST:
                    log.warning("%s has %d bytes, too many for Kafka: it stays as it is", letter_id, size(again))
                    self.too_large.add(letter_id)
                    continue
                self.corrected += "corrected" in letter
                self.by_reason.update(letter["reasons"])
                yield number, again

    def acknowledged(self, number: int) -> None:
        """Mark all letters up to `number` as re-submitted: Kafka has them."""
        now = datetime.now(UTC)
        for start in range(self.marked, number, _IDS_PER_QUERY):
            chunk = [one for one in self.ids[start : min(start + _IDS_PER_QUERY, number)] if one not in self.too_large]
            self.db[COLLECTION].update_many({"_id": {"$in": chunk}}, {"$set": {"resubmitted_at": now}})
        self.marked = number


def open_letters(db: Database[Document], reason: str | None, limit: int) -> Resubmission:
    """Find what is to be sent, and show in the log what there is.

    Args:
        db: The platform's database.
        reason: Only letters with this reason; None or empty for all.
        limit: At most so many, the oldest; 0 for all.

    Raises:
        JobSkipped: There is nothing to send.
        JobError: The reason is unknown, or a correction is no text.
    """
    counts = count_by_reason(db)
    for line in reason_table(counts, _LOG_WIDTH):
        log.info("%s", line)
    chosen = selection(reason, counts) | OPEN
    not_text = db[COLLECTION].find_one(chosen | {"corrected": {"$exists": True, "$not": {"$type": "string"}}})
    if not_text:
        raise JobError(f"the field corrected of {not_text['_id']} is no text (put the whole record there, as text)")
    damaged = db[COLLECTION].count_documents({"$and": [chosen, DAMAGED]})
    left_out = (
        f"{damaged} left out whose bytes were no UTF-8 and are not known any more (put the whole record, as text, into "
        "the field corrected)"
    )
    if damaged:
        log.warning("dead letters: %s", left_out)
    # In the order of their arrival, as events of one visit have to come.
    order = [("kafka_timestamp", 1), ("kafka_partition", 1), ("kafka_offset", 1)]
    sendable = chosen | {"$nor": [DAMAGED]}
    ids = [letter["_id"] for letter in db[COLLECTION].find(sendable, {"_id": 1}).sort(order).limit(limit)]
    if not ids:
        which = f" has the reason {reason}" if reason else ""
        but = f" but {left_out}" if damaged else ""
        raise JobSkipped(f"no open dead letter{which}{but}: nothing to re-submit")
    return Resubmission(db, ids, damaged)


def resubmit(letters: Resubmission, target: Target, rate: float) -> dict[str, Any]:
    """Send them.

    Args:
        letters: What to send; is kept up to date.
        target: Takes them to Kafka.
        rate: Records per second; 0 sends as fast as Kafka takes them.

    Returns:
        `resubmitted`, `corrected` among them, `by_reason`, and `damaged`: those left out.

    Raises:
        RuntimeError: Kafka refused a record; a retry sends what is not marked.
    """
    log.info("re-submitting %d dead letters", len(letters.ids))
    sent = send(target, letters.records(), letters.acknowledged, rate)
    by_reason = dict(letters.by_reason.most_common())
    log.info("by reason: %s", ", ".join(f"{reason} {count}" for reason, count in by_reason.items()))
    return {"resubmitted": sent, "corrected": letters.corrected, "by_reason": by_reason, "damaged": letters.damaged}
