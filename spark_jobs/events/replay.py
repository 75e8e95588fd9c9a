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
from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.record import Record
from spark_jobs.events.source import Row

log = logging.getLogger(__name__)

PROGRESS_COLLECTION = "replay_progress"
_REPORT_SECONDS = 5.0
_PACE_SECONDS = 0.1


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

    def save(self) -> None:
        """Store the progress."""
        document = {"rows": self.rows, "shift_seconds": self.shift_seconds, "updated_at": datetime.now(UTC)}
        self.db[PROGRESS_COLLECTION].update_one({"_id": self.run_id}, {"$set": document}, upsert=True)


def send(
    client: KafkaProducer,
    topic: str,
    source: Iterator[tuple[int, Row]],
    encode: Callable[[int, Row], Record],
    progress: Progress,
    rate: float,
) -> int:
    """Send rows to Kafka and keep `progress` current.

    Args:
        client: The producer; it is flushed at the end.
        topic: Kafka topic.
        source: Row numbers and rows still to be sent.
        encode: Turns them into records.
        progress: Moves only past rows that Kafka has acknowledged.
        rate: Events per second; 0 sends as fast as Kafka takes them.

    Returns:
        How many rows were sent.

    Raises:
        RuntimeError: Kafka refused a record; a retry goes on from the last acknowledged row.
    """
    failures: list[BaseException] = []
    started = reported = time.monotonic()
    sent = 0
    try:
        for number, row in source:
            key, value = encode(number, row)
            client.send(topic, value, key=key or None).add_errback(failures.append)
            sent += 1
            if rate and sent % max(1, int(rate * _PACE_SECONDS)) == 0:
                _wait_until(started + sent / rate)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                _acknowledge(client, failures, progress, number)
                log.info("%d rows sent, %.0f events/s", number, sent / (now - started))
                reported = now
    finally:
        # A source that breaks off half-way must not take back what was read: it is flushed and counted first.
        if sent:
            _acknowledge(client, failures, progress, number)
    seconds = max(time.monotonic() - started, 1e-6)
    log.info("%d events sent in %.1f s, %.0f events/s", sent, seconds, sent / seconds)
    return sent


def _acknowledge(client: KafkaProducer, failures: list[BaseException], progress: Progress, number: int) -> None:
    client.flush()
    if failures:
        raise RuntimeError(f"Kafka refused {len(failures)} records, the first with: {failures[0]}")
    progress.rows = number
    progress.save()


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
