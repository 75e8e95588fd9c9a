"""The event simulator: an events file into Kafka, at a chosen rate, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pymongo.database import Database

from spark_jobs.errors import JobError
from spark_jobs.events.record import Record
from spark_jobs.events.senders import CHUNK

log = logging.getLogger(__name__)

PROGRESS_COLLECTION = "replay_progress"
_REPORT_SECONDS = 5.0
_PACE_SECONDS = 0.1


class Target(Protocol):
    """Takes records to Kafka: an `Outbox` in this process, or `Senders`."""

    def hand_over(self, records: Sequence[Record]) -> None:
        """Take records, in their order; may wait."""

    def confirm(self) -> None:
        """Wait until Kafka has every record; raise RuntimeError if it refused one."""


@dataclass
class Progress:
    """How far a replay has come, kept in MongoDB so that a retry goes on where the last attempt was acknowledged.

    Attributes:
        db: The platform's database.
        run_id: Name of the replay; a new name starts from the first row.
        source: Name that the event ids derive from: a name that was used for another source starts there, too.
        rows: Rows acknowledged by Kafka.
        shift_seconds: The shift of all event times of this run, or None before it is chosen.
    """

    db: Database[dict[str, Any]]
    run_id: str
    source: str
    rows: int = 0
    shift_seconds: float | None = None

    @classmethod
    def load(cls, db: Database[dict[str, Any]], run_id: str, source: str) -> Progress:
        """Read the progress of `run_id` with this source; a run that is not known starts at zero."""
        stored = db[PROGRESS_COLLECTION].find_one({"_id": run_id}) or {}
        if stored.get("source", source) != source:
            log.warning("%s was a replay of %s: that of %s begins at its first row", run_id, stored["source"], source)
            stored = {}
        return cls(db, run_id, source, stored.get("rows", 0), stored.get("shift_seconds"))

    def acknowledged(self, rows: int) -> None:
        """Store that Kafka has so many rows of the file."""
        self.rows = rows
        document = {
            "source": self.source,
            "rows": self.rows,
            "shift_seconds": self.shift_seconds,
            "updated_at": datetime.now(UTC),
        }
        self.db[PROGRESS_COLLECTION].update_one({"_id": self.run_id}, {"$set": document}, upsert=True)


def send(
    target: Target, records: Iterable[tuple[int, Record]], acknowledged: Callable[[int], None], rate: float
) -> int:
    """Send records to Kafka.

    Args:
        target: Takes them there.
        records: What is to be sent, numbered upwards.
        acknowledged: Called every few seconds and at the end: Kafka has all records up to this number.
        rate: Events per second; 0 sends as fast as Kafka takes them.

    Returns:
        How many records were sent.

    Raises:
        RuntimeError: Kafka refused a record; none after the last acknowledged number counts as sent.
    """
    # What is due at one step of the pace goes out at once, and no more than a chunk.
    size = min(CHUNK, max(1, int(rate * _PACE_SECONDS))) if rate else CHUNK
    started = reported = time.monotonic()
    sent = last = 0
    try:
        for chunk in _chunks(records, size):
            target.hand_over([record for _, record in chunk])
            sent, last = sent + len(chunk), chunk[-1][0]
            if rate:
                _wait_until(started + sent / rate)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                target.confirm()
                acknowledged(last)
                log.info("%d sent, %.0f events/s", last, sent / (now - started))
                reported = now
    finally:
        # A source that breaks off half-way must not take back what was read: it is confirmed and counted first.
        if sent:
            target.confirm()
            acknowledged(last)
    seconds = max(time.monotonic() - started, 1e-6)
    log.info("%d events sent in %.1f s, %.0f events/s", sent, seconds, sent / seconds)
    return sent


def _chunks(records: Iterable[tuple[int, Record]], size: int) -> Iterator[list[tuple[int, Record]]]:
    """Yield lists of `size` records; if the source breaks off, what was read comes before its error."""
    chunk: list[tuple[int, Record]] = []
    try:
        for numbered in records:
            chunk.append(numbered)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except Exception:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _wait_until(moment: float) -> None:
    remaining = moment - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def shift_to_now(newest: datetime | None) -> timedelta:
    """Return the shift that makes `newest` the present, in whole seconds.

    Raises:
        JobError: The file has no readable time.
    """
    if newest is None:
        raise JobError("no row of the file has a readable event_time, so nothing can be shifted to now")
    return timedelta(seconds=int((datetime.now(UTC) - newest).total_seconds()))
