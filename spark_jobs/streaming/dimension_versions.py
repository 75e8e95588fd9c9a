"""How the running stream learns that a dimension changed: one small document per dimension."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReplaceOne
from pymongo.database import Database

from spark_jobs.streaming.heartbeat import DRIVER_ID

COLLECTION = "dimension_versions"

_POLL_SECONDS = 0.5
# Reading large dimensions and the open visits back takes a while, in which a driver says nothing.
_SILENT_FOR = timedelta(seconds=60)


def publish(db: Database[dict[str, Any]], versions: Mapping[str, str]) -> None:
    """Announce new versions of `products`, `users` or both, after their documents are written."""
    db[COLLECTION].bulk_write(
        [
            ReplaceOne({"_id": dimension}, {"_id": dimension, "version": version}, upsert=True)
            for dimension, version in versions.items()
        ]
    )


def current(db: Database[dict[str, Any]]) -> str:
    """Return a value that changes whenever a dimension is published anew."""
    return "|".join(f"{one['_id']}:{one['version']}" for one in db[COLLECTION].find().sort("_id"))


def await_use(db: Database[dict[str, Any]], seconds: float) -> bool:
    """Wait until the stream joins events with the dimensions that are published.

    Args:
        db: The platform's database.
        seconds: How long at most.

    Returns:
        Whether events that are sent from now on find these dimensions. A stream that does not run reads them when it
        starts.
    """
    published = current(db)
    deadline = time.monotonic() + seconds
    while _runs(driver := db["stream_health"].find_one({"_id": DRIVER_ID}) or {}):
        if driver.get("dimensions") == published:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _runs(driver: Mapping[str, Any]) -> bool:
    return driver.get("state") in ("starting", "running") and datetime.now(UTC) - driver["updated_at"] < _SILENT_FOR
