"""Reads both sides of the books that `reconcile` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.events.topic import Counts, Record, open_topic
from spark_jobs.mongo import Document
from spark_jobs.quality.reconcile import Ledger, reconcile, rests_on_counts
from spark_jobs.quality.references import existing

SAMPLE = 500

# Beyond this many documents adding them up, by partition or otherwise, would be the longest part of an hourly run.
_COUNTED_BY_PARTITION = 100_000
_DRIVER = {"_id": "driver"}
_PROGRESS = ("end_offsets", "last_batch_id", "accepted", "dead_lettered", "state")


def read_ledger(db: Database[Document], config: Config) -> Ledger | None:
    """Read the driver's counters, count the documents, then ask Kafka; the order matters (see `reconcile`).

    Many documents are estimated first. MongoDB's estimate is off after an unclean stop, so nobody is alarmed before
    they have been counted.

    Args:
        db: The platform's database.
        config: Kafka and topic.

    Returns:
        The books, or None where there is neither a topic nor anything that came from one.

    Raises:
        KafkaUnreachable: Kafka does not answer.
        PyMongoError: MongoDB does not.
    """
    ledger = _read(db, config, exactly=False)
    if ledger is None or ledger.by_partition is not None or not rests_on_counts(reconcile(ledger)):
        return ledger
    return _read(db, config, exactly=True)


def _read(db: Database[Document], config: Config, exactly: bool) -> Ledger | None:
    driver = db["stream_health"].find_one(_DRIVER)
    enriched, dead, by_partition = _count(db, exactly)
    sums = _sums(db) if by_partition is not None else {}
    settled = _progress(driver) == _progress(db["stream_health"].find_one(_DRIVER))
    with open_topic(config) as topic:
        beginning, end = topic.offsets()
        ledger = Ledger(
            driver=driver,
            enriched=enriched,
            dead=dead,
            by_partition=by_partition,
            settled=settled,
            beginning=beginning,
            end=end,
            sampled=0,
            lost=(),
            now=datetime.now(UTC),
            **sums,
        )
        # The driver's position of now may be past the documents; the one from before the counting is not.
        read = {partition: min(offset, end.get(partition, 0)) for partition, offset in ledger.read.items()}
        records = list(topic.newest(read, beginning, SAMPLE))
    if driver is None and not end and not enriched + dead:
        return None
    return replace(ledger, sampled=len(records), lost=tuple(_without_document(db, records)))


def _count(db: Database[Document], exactly: bool) -> tuple[int, int, Counts | None]:
    """Documents of both collections, and of both together by partition unless they are many."""
    enriched, dead = (
        db[name].count_documents({}) if exactly else db[name].estimated_document_count()
        for name in ("enriched_events", "dead_letter_events")
    )
    if enriched + dead > _COUNTED_BY_PARTITION:
        return enriched, dead, None
    first, second = _by_partition(db, "enriched_events"), _by_partition(db, "dead_letter_events")
    both = {partition: first.get(partition, 0) + second.get(partition, 0) for partition in {*first, *second}}
    return sum(first.values()), sum(second.values()), both


def _sums(db: Database[Document]) -> dict[str, int]:
    """What windows and visits count."""
    groups = {
        "window_events": ("event_aggregations", {"kind": "category_5m"}, "$event_count"),
        "visit_events": ("user_session_analytics", {}, "$total_events"),
    }
    sums = {}
    for name, (collection, query, counted) in groups.items():
        grouped = db[collection].aggregate([{"$match": query}, {"$group": {"_id": None, "sum": {"$sum": counted}}}])
        sums[name] = next((int(group["sum"]) for group in grouped), 0)
    return sums


def _by_partition(db: Database[Document], collection: str) -> Counts:
    grouped = db[collection].aggregate([{"$group": {"_id": "$kafka_partition", "count": {"$sum": 1}}}])
    # A document without a partition has no record: -1 is a partition that no topic has.
    return {group["_id"] if isinstance(group["_id"], int) else -1: group["count"] for group in grouped}


def _without_document(db: Database[Document], records: Sequence[Record]) -> list[Record]:
    """Those records that are in neither collection under any `_id` they may have."""
    left = list(records)
    for collection, name in (
        ("enriched_events", "event_id"),
        ("enriched_events", "position"),
        ("dead_letter_events", "position"),
    ):
        ids = [getattr(record, name) for record in left]
        found = existing(db, collection, [one for one in ids if one is not None])
        left = [record for record in left if getattr(record, name) not in found]
    return left


def _progress(driver: Document | None) -> list[Any]:
    return [(driver or {}).get(name) for name in _PROGRESS]
