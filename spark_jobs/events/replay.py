"""The event simulator: an events file into Kafka, at a chosen rate, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.future import Future
from kafka.partitioner.default import DefaultPartitioner
from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.record import Record

log = logging.getLogger(__name__)

PROGRESS_COLLECTION = "replay_progress"
_REPORT_SECONDS = 5.0
_PACE_SECONDS = 0.1
_KNOWN_KEYS = 100_000
# A flushed record's answer is there; its future may learn of it a moment later.
_CONFIRM_SECONDS = 30


class SessionPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """Kafka's own choice of partition, remembered per key: computing it takes a tenth of the time of sending."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], int] = {}

    def partition(
        self,
        topic: str,
        key: object,
        serialized_key: bytes | None,
        value: object,
        serialized_value: object,
        cluster: Any,
    ) -> int:
        """Return the partition of a record; records of one session follow each other closely."""
        if serialized_key is None:
            return int(super().partition(topic, key, serialized_key, value, serialized_value, cluster))
        place = (topic, serialized_key)
        if place not in self._known:
            if len(self._known) >= _KNOWN_KEYS:
                self._known.clear()
            self._known[place] = super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        return self._known[place]


def producer(config: Config) -> KafkaProducer:
    """Connect an idempotent producer.

    Raises:
        JobError: No broker answers, or the topic does not exist.
    """
    try:
        client = KafkaProducer(
            bootstrap_servers=config.kafka_bootstrap.split(","),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=30,
            batch_size=256 * 1024,
            max_block_ms=30_000,
            partitioner=SessionPartitioner(),
        )
        if not client.partitions_for(config.topic):
            raise JobError(f"the Kafka topic {config.topic} does not exist (`make up` creates it)")
    except KafkaError as error:
        raise JobError(f"no Kafka broker answers at {config.kafka_bootstrap}: {error} (is the stack up?)") from None
    return client


@dataclass
class Progress:
    """How far a replay has come, kept in MongoDB so that a retry goes on where the last attempt was acknowledged.

    Attributes:
        db: The platform's database.
        run_id: Name of the replay; a new name starts from the first row.
        rows: Rows acknowledged by Kafka.
        shift_seconds: The shift of all event times of this run, or None before it is chosen.
    """

    db: Database[dict[str, Any]]
    run_id: str
    rows: int = 0
    shift_seconds: float | None = None

    @classmethod
    def load(cls, db: Database[dict[str, Any]], run_id: str) -> Progress:
        """Read the progress of `run_id`; a run that is not known starts at zero."""
        stored = db[PROGRESS_COLLECTION].find_one({"_id": run_id}) or {}
        return cls(db, run_id, stored.get("rows", 0), stored.get("shift_seconds"))

    def acknowledged(self, rows: int) -> None:
        """Store that Kafka has so many rows of the file."""
        self.rows = rows
        document = {"rows": self.rows, "shift_seconds": self.shift_seconds, "updated_at": datetime.now(UTC)}
        self.db[PROGRESS_COLLECTION].update_one({"_id": self.run_id}, {"$set": document}, upsert=True)


def send(
    client: KafkaProducer,
    topic: str,
    records: Iterator[tuple[int, Record]],
    acknowledged: Callable[[int], None],
    rate: float,
) -> int:
    """Send records to Kafka.

    Args:
        client: The producer; it is flushed at the end.
        topic: Kafka topic.
        records: What is to be sent, numbered upwards.
        acknowledged: Called every few seconds and at the end: Kafka has all records up to this number.
        rate: Events per second; 0 sends as fast as Kafka takes them.

    Returns:
        How many records were sent.

    Raises:
        RuntimeError: Kafka refused a record; none after the last acknowledged number counts as sent.
    """
    unconfirmed: list[Future] = []
    started = reported = time.monotonic()
    sent = last = 0
    try:
        for number, (key, value) in records:
            unconfirmed.append(client.send(topic, value, key=key or None))
            sent, last = sent + 1, number
            if rate and sent % max(1, int(rate * _PACE_SECONDS)) == 0:
                _wait_until(started + sent / rate)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                _confirm(client, unconfirmed)
                acknowledged(last)
                log.info("%d sent, %.0f events/s", last, sent / (now - started))
                reported = now
    finally:
        # A source that breaks off half-way must not take back what was read: it is flushed and counted first.
        if sent:
            _confirm(client, unconfirmed)
            acknowledged(last)
    seconds = max(time.monotonic() - started, 1e-6)
    log.info("%d events sent in %.1f s, %.0f events/s", sent, seconds, sent / seconds)
    return sent


def _confirm(client: KafkaProducer, unconfirmed: list[Future]) -> None:
    """Require that Kafka has every record: that all have left the producer, which a flush says, is not enough."""
    client.flush()
    for future in unconfirmed:
        try:
            future.get(timeout=_CONFIRM_SECONDS)
        except KafkaError as error:
            raise RuntimeError(f"Kafka refused a record: {error}") from error
    unconfirmed.clear()


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
