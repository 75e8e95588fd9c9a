"""The collection `stream_health`: the driver's heartbeat, a person's wish, and the checks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from shopstream.config import Config
from shopstream.mongo import connect, plain_errors
from shopstream.streaming.decision import Launches, Wish
from shopstream.streaming.health import Heartbeat

COLLECTION = "stream_health"

# One check every five minutes: some 8,600 documents, and no more however old the stream gets.
KEEP_CHECKS = timedelta(days=30)

# What counting launches needs.
_READ_OF_CHECKS = ("action", "checked_at", "problems", "figures")


class HealthStore:
    """Reads and writes `stream_health`. A context manager: leaving it closes the connection."""

    def __init__(self, config: Config) -> None:
        self._client = connect(config)
        self._collection = self._client[config.database][COLLECTION]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def heartbeat(self) -> Heartbeat | None:
        """Return the newest heartbeat of any driver, or None before the first."""
        with plain_errors():
            document = self._collection.find_one({"_id": "driver"})
        return Heartbeat.from_document(document) if document else None

    def wish(self) -> Wish:
        """Return what a person last asked for; running, unless one said otherwise."""
        with plain_errors():
            document = self._collection.find_one({"_id": "wish"})
        if not document:
            return Wish(running=True)
        return Wish(running=document["running"], since=document["since"], run_id=document["run_id"])

    def write_wish(self, wish: Wish) -> None:
        """Remember what a person asks for."""
        document = {"_id": "wish", "kind": "wish", "running": wish.running, "since": wish.since, "run_id": wish.run_id}
        with plain_errors():
            self._collection.replace_one({"_id": "wish"}, document, upsert=True)

    def launches(self) -> Launches:
        """Return the launches since the application was last found at work."""
        with plain_errors():
            checks = self._collection.find({"kind": "check"}, dict.fromkeys(_READ_OF_CHECKS, 1))
            # The newest check ends the search as a rule. In a crash loop the launches lie an hour of checks apart, so
            # no number of checks is enough.
            with checks.sort("_id", -1) as newest_first:
                return Launches.of(newest_first)

    def ask(self, request: str, run_id: str) -> None:
        """Leave a person's request for the driver, which takes it up when it starts.

        Args:
            request: `rebuild` (set the checkpoint aside, read the whole topic) or `accept_data_loss` (go on without
                records that have expired).
            run_id: The run in which it was made.
        """
        document = {"_id": request, "kind": "request", "at": datetime.now(UTC), "run_id": run_id}
        with plain_errors():
            self._collection.replace_one({"_id": request}, document, upsert=True)

    def write_check(self, checked_at: datetime, check: Mapping[str, Any]) -> None:
        """Write one check, and drop those older than `KEEP_CHECKS`.

        Args:
            checked_at: When it was made; its key.
            check: healthy, problems, figures, action, outcome, run_id.
        """
        key = f"check|{checked_at.isoformat()}"
        document = {"_id": key, "kind": "check", "checked_at": checked_at, **check}
        with plain_errors():
            self._collection.replace_one({"_id": key}, document, upsert=True)
            self._collection.delete_many({"kind": "check", "checked_at": {"$lt": checked_at - KEEP_CHECKS}})
