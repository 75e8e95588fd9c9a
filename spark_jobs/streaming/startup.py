"""Before the query starts: do checkpoint, topic and database fit together?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.topic import open_topic
from spark_jobs.mongo import Document
from spark_jobs.streaming.checkpoint import WAY_ON, Checkpoint, Offsets, Origin, require_same_layout
from spark_jobs.streaming.data_loss import Gap, forget_acceptance, gaps, require_same_topic, settle

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


def prepare(config: Config, db: Database[Document], checkpoint: Checkpoint, layout: Mapping[str, str]) -> Start:
    """Check the checkpoint against code and topic, or describe a new one.

    Args:
        config: Kafka and topic.
        db: The platform's database.
        checkpoint: The query's checkpoint.
        layout: What its state must look like (`outputs.state_layout`).

    Raises:
        JobError: The state does not fit the code, the topic is another one, or records are missing that nobody has
            accepted as lost. Says what to do.
        KafkaUnreachable: No broker answers.
    """
    with open_topic(config) as topic:
        beginning, end = topic.offsets()
    if not end:
        raise JobError(f"the Kafka topic {config.topic} does not exist at {config.kafka_bootstrap}")
    _set_aside_if_asked(db, checkpoint)
    origin = checkpoint.origin()
    if origin is None:
        start = Start(_begin(db, checkpoint, layout, beginning, end), {}, [])
        forget_acceptance(db)
        return start
    require_same_layout(origin, layout)
    position = checkpoint.position()
    if position:
        _require_same_database(db, origin, config)
    reached = {**origin.start_offsets, **position}
    require_same_topic(reached, end, config.topic)
    lost = gaps(reached, beginning)
    settle(db, lost, config.topic)
    forget_acceptance(db)
    return Start(origin, position, lost)


def _set_aside_if_asked(db: Database[Document], checkpoint: Checkpoint) -> None:
    if db["stream_health"].find_one({"_id": REBUILD_ID}) is None:
        return
    if checkpoint.folder.exists():
        log.warning("a rebuild was asked for: the checkpoint is kept as %s", checkpoint.set_aside())
    db["stream_health"].delete_one({"_id": REBUILD_ID})


def _require_same_database(db: Database[Document], origin: Origin, config: Config) -> None:
    """Refuse to go on in the middle of the topic with a database that has nothing of its beginning."""
    driver = db["stream_health"].find_one({"_id": "driver"}) or {}
    if driver.get("generation") != origin.generation:
        raise JobError(
            f"the checkpoint does not belong to the database {config.database}: MONGODB_URI or SHOPSTREAM_DATABASE "
            f"changed, or the database was restored (the way on: {WAY_ON})"
        )


def _begin(
    db: Database[Document], checkpoint: Checkpoint, layout: Mapping[str, str], beginning: Offsets, end: Offsets
) -> Origin:
    rebuilding = any(db[collection].find_one({}, {"_id": 1}) for collection in DERIVED)
    protected_until = _newest_missing(db, beginning, end) if rebuilding else None
    if rebuilding:
        log.warning("there is no checkpoint: windows and visits are built anew from offsets %s to %s", beginning, end)
    if any(beginning.values()):
        log.warning("older records have expired: the stream begins at offsets %s", beginning)
    return checkpoint.create(layout, beginning, end if rebuilding else None, protected_until)


def _newest_missing(db: Database[Document], beginning: Offsets, end: Offsets) -> datetime | None:
    """Return the event time of the newest stored event whose record Kafka has no more, or None where it has all.

    Records are gone that have expired, and all of a partition that ends before where an earlier driver has read it: the
    topic was made anew.
    """
    driver = db["stream_health"].find_one({"_id": "driver"}) or {}
    missing: list[dict[str, Any]] = [
        {"kafka_partition": number, "kafka_offset": {"$lt": first}} for number, first in beginning.items() if first
    ]
    for name, offset in (driver.get("end_offsets") or {}).items():
        number, last = int(name), end.get(int(name), 0)
        if last < offset:
            log.warning("partition %d was made anew: it ends at offset %d, and was read up to %d", number, last, offset)
            missing.append({"kafka_partition": number})
    newest = (db["enriched_events"].find_one(one, sort=[("event_timestamp", -1)]) for one in missing)
    return max((event["event_timestamp"] for event in newest if event), default=None)
