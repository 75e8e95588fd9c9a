"""Whole collections against the independent recomputation of `spark_jobs.audit`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from pymongo.database import Database

from spark_jobs.audit.compare import compare
from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.recompute import recompute
from spark_jobs.audit.validate import read_record, validate
from spark_jobs.events.record import encoder, source_name
from spark_jobs.events.source import rows

SKETCHED = ("unique_users", "unique_sessions")


class Store(Protocol):
    """Whatever has the platform's database, such as a `RunningStack`."""

    db: Database[dict[str, Any]]


def records(path: Path) -> list[bytes]:
    """Return what the topic holds after one replay of an events file, by row."""
    encode = encoder(source_name(path))
    return [encode(number, row)[1] for number, row in enumerate(rows(path), start=1)]


def assert_streaming_collections(stack: Store, records: Iterable[Any]) -> None:
    """Require that the streaming collections are exactly what follows from these records of the topic.

    Args:
        stack: Where the collections and dimensions are.
        records: Values of records, as bytes or decoded.
    """
    events = [read_record(one) if isinstance(one, bytes) else one for one in records]
    accepted = [event for event in events if not validate(event)]
    products = {one["_id"]: one for one in stack.db["products"].find()}
    users = {one["_id"]: one for one in stack.db["users"].find()}
    enriched = enrich(accepted, products, users)
    expected = {"enriched_events": enriched, **recompute(enriched.values())}
    for collection, documents in expected.items():
        differences = compare(stack.db[collection].find(), documents, sketched=SKETCHED)
        assert not differences, f"{collection}: {differences.summary()}"
