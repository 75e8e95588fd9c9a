"""One micro-batch -> MongoDB.

Every write replaces whole documents by `_id`: a batch that is repeated after a crash writes the same documents again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.config import Config
from spark_jobs.mongo import Document, upsert
from spark_jobs.session import insert_or_replace_collection, upsert_collection
from spark_jobs.streaming import funnel, windows
from spark_jobs.streaming.cells import VISIT_PART
from spark_jobs.streaming.dimensions import Dimensions
from spark_jobs.streaming.enrich import dead_letters, enriched
from spark_jobs.streaming.outputs import cells_of, is_valid, records_of
from spark_jobs.streaming.visits import OpenVisits

log = logging.getLogger(__name__)

_SAMPLE = 20

# The columns a visit is made of; the rest of a cell stays in the JVM.
_PART_COLUMNS = (
    "name",
    "detail",
    "window_start",
    "first_event",
    "last_event",
    "event_count",
    "price_sum",
    "purchase_value",
    "view_count",
    "cart_count",
    "remove_from_cart_count",
    "purchase_count",
    "items",
)


@dataclass(frozen=True)
class BatchCounts:
    """How many records a micro-batch brought, what became of them, and the newest Kafka timestamp among them."""

    accepted: int
    dead_lettered: int
    newest_record: datetime


class Sink:
    """Writes micro-batches of `outputs.outputs` to the streaming collections.

    Args:
        config: Connection and database.
        db: The same database, for what is written from the driver.
        dimensions: Current product and user dimensions.
        open_visits: The visits that may still change, as they stand after the last finished batch.
        newest_record: The newest Kafka timestamp of all finished batches.
    """

    def __init__(
        self,
        config: Config,
        db: Database[Document],
        dimensions: Dimensions,
        open_visits: OpenVisits,
        newest_record: datetime,
    ) -> None:
        self._config = config
        self._db = db
        self._dimensions = dimensions
        self.open_visits = open_visits
        self._spark = dimensions.products.sparkSession
        self._newest_record = newest_record

    def write(self, batch: DataFrame, batch_id: int) -> BatchCounts:
        """Write one micro-batch; returns when every collection has it."""
        timer = _Timer()
        batch.persist()
        try:
            records, cells = records_of(batch), cells_of(batch)
            counts = _count(records)
            timer.lap("compute")
            if counts.accepted:
                events = enriched(records.filter(is_valid()), self._dimensions.users)
                self._write_new(events, "enriched_events")
                timer.lap("events")
                self._write_windows(cells.crossJoin(F.broadcast(self._known_until())))
                timer.lap("windows")
                self._write_visits(cells)
                timer.lap("visits")
            if counts.dead_lettered:
                self._write_new(dead_letters(records.filter(~is_valid())), "dead_letter_events")
                timer.lap("dead letters")
        finally:
            batch.unpersist()
        if counts.accepted or counts.dead_lettered:
            self._newest_record = max(counts.newest_record, self._newest_record)
            log.info(
                "batch %d: %d accepted, %d dead-lettered in %s; %d sessions are open",
                batch_id,
                counts.accepted,
                counts.dead_lettered,
                timer,
                len(self.open_visits),
            )
        return counts

    def _known_until(self) -> DataFrame:
        """Return `known_until`, the newest Kafka timestamp of earlier batches, as a frame of one row.

        As a literal it would make Spark generate and compile the code of the writes anew in every batch.
        """
        return self._spark.createDataFrame([(self._newest_record,)], "known_until TIMESTAMP")

    def _write_new(self, documents: DataFrame, collection: str) -> None:
        """Write documents that are most likely new; a look at a few tells a batch or a file that is repeated."""
        sample = [row["_id"] for row in documents.select("_id").limit(_SAMPLE).collect()]
        repeated = self._db[collection].find_one({"_id": {"$in": sample}}, {"_id": 1})
        write = upsert_collection if repeated else insert_or_replace_collection
        write(documents, self._config, collection)

    def _write_windows(self, cells: DataFrame) -> None:
        """Write the changed windows; those that hold no event of an earlier batch are certainly new."""
        for shape in (windows.category_5m, windows.brand_10m, windows.category_1h):
            documents = shape(cells.filter(F.col("first_arrival") > F.col("known_until")))
            self._write_new(documents, "event_aggregations")
            known = shape(cells.filter(F.col("first_arrival") <= F.col("known_until")))
            upsert_collection(known, self._config, "event_aggregations")

    def _write_visits(self, cells: DataFrame) -> None:
        parts = cells.filter(F.col("kind") == VISIT_PART).select(*_PART_COLUMNS)
        changes = self.open_visits.apply(_rows(parts))
        visits = self._db["user_session_analytics"]
        upsert(self._db, "user_session_analytics", changes.upserts)
        if changes.deletes:
            visits.delete_many({"_id": {"$in": changes.deletes}})
        funnel.refresh(self._db, changes.starts)


class _Timer:
    """Names where a micro-batch spends its time."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._laps: list[str] = []

    def lap(self, name: str) -> None:
        """End the current step."""
        now = time.monotonic()
        self._laps.append(f"{name} {now - self._last:.1f}")
        self._last = now

    def __str__(self) -> str:
        return f"{self._last - self._started:.1f} s ({', '.join(self._laps)})"


def _count(records: DataFrame) -> BatchCounts:
    valid, newest = is_valid(), F.unix_millis(F.max("kafka_timestamp"))
    row = records.select(F.count_if(valid), F.count_if(~valid), newest).collect()[0]
    return BatchCounts(row[0], row[1], datetime.fromtimestamp((row[2] or 0) / 1000, UTC))


def _rows(frame: DataFrame) -> Iterator[dict[str, Any]]:
    """Bring rows to the driver as dicts; Arrow keeps dates time-zone-aware and is many times quicker than Row."""
    for chunk in frame.toArrow().to_batches():
        yield from chunk.to_pylist()
