"""Before the query starts: do checkpoint, topic and database fit together?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.topic import open_topic, topic_id
from spark_jobs.mongo import Document
from spark_jobs.streaming.checkpoint import WAY_ON, Checkpoint, Offsets, Origin, by_number, require_same_layout
from spark_jobs.streaming.data_loss import Gap, forget_acceptance, gaps, require_same_topic, settle
from spark_jobs.streaming.heartbeat import DRIVER_ID

log = logging.getLogger(__name__)

# A person's request to build everything anew; `streaming_lifecycle` writes it.
REBUILD_ID = "rebuild"

DERIVED = ("event_aggregations", "user_session_analytics")


@dataclass(frozen=True)
class Start:
    """Where the stream begins.

    Attributes:
        origin: What the checkpoint was made for.
        position: The offsets after its last committed micro-batch, by partition; empty before the first.
        lost: Accepted gaps between the position and the oldest record that Kafka has.
    """

    origin: Origin
    position: Offsets
    lost: list[Gap]


@dataclass(frozen=True)
class _Found:
    """What Kafka has of the topic: its id, and by partition the first offset still there and the next to be given."""

    topic_id: str
    beginning: Offsets
    end: Offsets


def prepare(config: Config, db: Database[Document], checkpoint: Checkpoint, layout: Mapping[str, str]) -> Start:
    """Check the checkpoint against code, topic and database, or describe a new one.

    Args:
        config: Kafka and topic.
        db: The platform's database.
        checkpoint: The query's checkpoint.
        layout: What its state must look like (`outputs.state_layout`).

    Raises:
        JobError: The state does not fit the code, topic or database are others, or records are missing that nobody has
            accepted as lost. Says what to do.
        KafkaUnreachable: No broker answers.
    """
    with open_topic(config) as topic:
        found = _Found(topic_id(config), *topic.offsets())
    if not found.end:
        raise JobError(f"the Kafka topic {config.topic} does not exist at {config.kafka_bootstrap}")
    _set_aside_if_asked(db, checkpoint)
    origin = checkpoint.origin()
    driver = db["stream_health"].find_one({"_id": DRIVER_ID}) or {}
    if origin is None:
        start = Start(_begin(db, driver, checkpoint, layout, found, config.topic), {}, [])
        forget_acceptance(db)
        return start
    require_same_layout(origin, layout)
    position = checkpoint.position()
    if position:
        _require_same_database(driver, origin, checkpoint, config)
    reached = {**origin.start_offsets, **position}
    require_same_topic(reached, found.end, config.topic, remade=_remade(origin.topic_id, found))
    lost = gaps(reached, found.beginning)
    settle(db, lost, config.topic)
    forget_acceptance(db)
    return Start(origin, position, lost)


def _remade(known: str, found: _Found) -> bool:
    """Tell whether the topic was made anew since; its offsets alone cannot tell once it has grown as long again."""
    return bool(known and found.topic_id) and known != found.topic_id


def _set_aside_if_asked(db: Database[Document], checkpoint: Checkpoint) -> None:
    if db["stream_health"].find_one({"_id": REBUILD_ID}) is None:
        return
    if checkpoint.folder.exists():
        log.warning("a rebuild was asked for: the checkpoint is kept as %s", checkpoint.set_aside())
    db["stream_health"].delete_one({"_id": REBUILD_ID})


def _require_same_database(driver: Document, origin: Origin, checkpoint: Checkpoint, config: Config) -> None:
    """Refuse to go on in the middle of the topic with a database that has nothing, or less, of what comes before.

    A micro-batch is in the driver's document before Spark commits it.
    """
    if driver.get("generation") != origin.generation:
        raise JobError(
            f"the checkpoint does not belong to the database {config.database}: MONGODB_URI or SHOPSTREAM_DATABASE "
            f"changed, or the database was restored (the way on: {WAY_ON})"
        )
    known, committed = driver.get("last_batch_id", -1), checkpoint.committed()
    if committed is not None and known < committed:
        raise JobError(
            f"the database {config.database} is older than the checkpoint: it knows of micro-batch {known}, and "
            f"{committed} was committed. It was restored, or lost its latest writes (the way on: {WAY_ON})"
        )


def _begin(
    db: Database[Document],
    driver: Document,
    checkpoint: Checkpoint,
    layout: Mapping[str, str],
    found: _Found,
    topic: str,
) -> Origin:
    remade = _remade(driver.get("topic_id", ""), found)
    if not remade:
        # Without a checkpoint it is the driver's document that knows what has been read.
        settle(db, gaps(_offsets_read(driver), found.beginning), topic)
    rebuilding = any(db[collection].find_one({}, {"_id": 1}) for collection in DERIVED)
    protected_until = _protected_until(db, driver, found, remade) if rebuilding else None
    if rebuilding:
        log.warning(
            "there is no checkpoint: windows and visits are built anew from offsets %s to %s",
            found.beginning,
            found.end,
        )
    if any(found.beginning.values()):
        log.warning("older records have expired: the stream begins at offsets %s", found.beginning)
    until = found.end if rebuilding else None
    return checkpoint.create(layout, found.beginning, found.topic_id, until, protected_until)


def _offsets_read(driver: Document) -> Offsets:
    return by_number(driver.get("end_offsets") or {})


def _protected_until(db: Database[Document], driver: Document, found: _Found, remade: bool) -> datetime | None:
    """Return the event time up to which windows and visits may hold events that Kafka has no more, or None.

    Records are gone that have expired, and all of a topic, or partition, that was made anew; and what an earlier
    rebuild found missing has not come back since. A clock ahead of ours has dated some events in the future: that must
    not keep the windows of events to come from being written.
    """
    missing: list[dict[str, Any]] = [
        {"kafka_partition": number, "kafka_offset": {"$lt": first}}
        for number, first in found.beginning.items()
        if first
    ]
    for number, offset in _offsets_read(driver).items():
        last = found.end.get(number, 0)
        if remade or last < offset:
            log.warning("partition %d was made anew: it ends at offset %d, and was read up to %d", number, last, offset)
            missing.append({"kafka_partition": number})
    newest = (db["enriched_events"].find_one(one, sort=[("event_timestamp", -1)]) for one in missing)
    moments = [min(event["event_timestamp"], datetime.now(UTC)) for event in newest if event]
    return max((*moments, *filter(None, [driver.get("protected_until")])), default=None)
