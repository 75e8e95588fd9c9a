"""The plan of `outputs` as a real stream: several micro-batches, events out of order, repeated, late and malformed.

The source is a folder of Parquet files with the columns of Spark's Kafka source, one file per micro-batch.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.audit.compare import compare
from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.recompute import recompute
from spark_jobs.streaming import records, windows
from spark_jobs.streaming.enrich import PRODUCT_SCHEMA, USER_SCHEMA
from spark_jobs.streaming.open_visits import OpenVisits
from spark_jobs.streaming.outputs import PARSE_ONCE_RULES, fetch, outputs
from spark_jobs.streaming.sink import visit_parts

START = datetime(2019, 10, 1, tzinfo=UTC)
INGESTED = datetime(2019, 10, 2, tzinfo=UTC)
RECORDS = "topic STRING, partition INT, offset LONG, timestamp TIMESTAMP, value BINARY"
TEN_MINUTES = timedelta(minutes=10)
BATCHES, BATCH_SIZE = 5, 60

Document = dict[str, Any]


def event(dice: random.Random, number: int, at: datetime) -> Document:
    return {
        "event_id": f"e{number}",
        "event_time": at.isoformat(timespec="milliseconds"),
        "event_type": dice.choice(["view"] * 6 + ["cart", "remove_from_cart", "purchase"]),
        "product_id": dice.randrange(1, 9),
        "category_id": 1,
        "category_code": dice.choice(["electronics.smartphone", "apparel", None]),
        "brand": dice.choice(["apple", "samsung", None]),
        "price": dice.choice([0.0, 19.99, 20.0, 99.5, 500.0]),
        "user_id": dice.randrange(1, 12),
        "user_session": f"s{dice.randrange(8)}",
    }


class History:
    """A random history: micro-batches of records, and what must become of them.

    Attributes:
        batches: The values of the Kafka records of each micro-batch.
        accepted: Events by id, late ones included.
        on_time: Events that count in windows and visits.
        late: Number of late events; repetitions count each time.
        dead: Number of malformed records.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.batches: list[list[bytes]] = []
        self.accepted: dict[str, Document] = {}
        self.on_time: dict[str, Document] = {}
        self.late = self.dead = 0
        newest = START
        ends = [START - timedelta(days=1)] * 2
        for _ in range(BATCHES):
            # Spark lets a micro-batch know the newest event of the one before the last.
            late_until = ends[-2] - TEN_MINUTES
            batch = []
            for _ in range(BATCH_SIZE):
                batch.append(self._record(newest, late_until))
                newest = max([newest, *(datetime.fromisoformat(one["event_time"]) for one in self.accepted.values())])
            self.batches.append(batch)
            ends.append(newest)

    def _record(self, newest: datetime, late_until: datetime) -> bytes:
        """Make one more record.

        Args:
            newest: The newest event's time so far.
            late_until: Events before this are late, as the earlier micro-batches have it.
        """
        dice = self._dice
        if dice.random() < 0.05:
            self.dead += 1
            # The last one would make everything after it late, if it moved the watermark.
            return dice.choice([b"{", b"", b'{"price": -1}', b'{"event_time": "2030-01-01T00:00:00Z"}'])
        if self.accepted and dice.random() < 0.15:
            one = dice.choice(list(self.accepted.values()))
        else:
            at = newest + dice.choice(
                [
                    timedelta(milliseconds=dice.randrange(-600_000, 300_000)),
                    timedelta(minutes=5 * dice.randrange(-2, 2)),
                    -TEN_MINUTES,
                    -TEN_MINUTES - timedelta(milliseconds=dice.choice([1, 1000, 3_600_000])),
                    timedelta(minutes=dice.randrange(40)) if dice.random() < 0.1 else timedelta(0),
                ]
            )
            one = event(dice, len(self.accepted), at)
        self.accepted[one["event_id"]] = one
        if datetime.fromisoformat(one["event_time"]) >= late_until:
            self.on_time[one["event_id"]] = one
        else:
            self.late += 1
        return json.dumps(one).encode()


class Collections:
    """Takes micro-batches and keeps what `sink` would have stored."""

    def __init__(self) -> None:
        self._open_visits = OpenVisits()
        self.stored: dict[str, dict[str, Document]] = {
            "enriched_events": {},
            "event_aggregations": {},
            "user_session_analytics": {},
        }
        self.dead: list[str] = []

    def write(self, batch: DataFrame, _batch_id: int) -> None:
        fetched = fetch(batch)
        self._upsert("enriched_events", records.events(fetched.valid, INGESTED))
        kinds = fetched.cells.column("kind")
        for kind in windows.FIELDS:
            of_kind = fetched.cells.filter(pc.equal(kinds, kind))
            self._upsert("event_aggregations", windows.documents(kind, of_kind, "a checkpoint"))
        changes = self._open_visits.apply(visit_parts(fetched.cells))
        self._upsert("user_session_analytics", changes.upserts)
        for gone in changes.deletes:
            del self.stored["user_session_analytics"][gone]
        self.dead += [letter["_id"] for letter in records.dead_letters(fetched.refused, INGESTED)]

    def _upsert(self, collection: str, documents: Iterable[Document]) -> None:
        self.stored[collection].update({one["_id"]: one for one in documents})


def write_source(folder: Path, batches: list[list[bytes]]) -> None:
    """Write one file per micro-batch; Spark reads them in the order of their time of change."""
    offset = 0
    for number, batch in enumerate(batches):
        rows = [
            {"topic": "customer_events", "partition": 0, "offset": offset + row, "timestamp": INGESTED, "value": value}
            for row, value in enumerate(batch)
        ]
        offset += len(batch)
        path = folder / f"{number}.parquet"
        schema = pa.schema(
            [
                ("topic", pa.string()),
                ("partition", pa.int32()),
                ("offset", pa.int64()),
                ("timestamp", pa.timestamp("us", "UTC")),
                ("value", pa.binary()),
            ]
        )
        pq.write_table(pa.Table.from_pylist(rows, schema), path)
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stream_of_micro_batches_equals_the_recomputation(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    history = History(seed)
    (tmp_path / "source").mkdir()
    write_source(tmp_path / "source", history.batches)
    collections = Collections()
    session = spark.newSession()
    session.conf.set("spark.sql.optimizer.excludedRules", ",".join(PARSE_ONCE_RULES))
    products, users = (session.createDataFrame([], schema).persist() for schema in (PRODUCT_SCHEMA, USER_SCHEMA))
    source = session.readStream.schema(RECORDS).option("maxFilesPerTrigger", 1).parquet(str(tmp_path / "source"))
    query = (
        outputs(source, products, users, partitions=1)
        .writeStream.outputMode("update")
        .foreachBatch(collections.write)
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    reports = [report for report in query.recentProgress if report["numInputRows"]]
    # More rows than that would mean that each half of the plan has read and parsed for itself.
    assert [report["numInputRows"] for report in reports] == [BATCH_SIZE] * BATCHES

    expected = enrich(history.accepted.values(), {}, {}, ingested_at=INGESTED)
    on_time = [document for event_id, document in expected.items() if event_id in history.on_time]
    wanted = {"enriched_events": expected, **recompute(on_time)}
    for collection, stored in collections.stored.items():
        differences = compare(stored.values(), wanted[collection])
        assert not differences, f"{collection}: {differences.summary()}"
    assert len(collections.dead) == history.dead
    dropped = [
        operator["numRowsDroppedByWatermark"]
        for report in reports
        for operator in report["stateOperators"]
        if operator["operatorName"] == "dedupeWithinWatermark"
    ]
    assert sum(dropped) == history.late > BATCHES
