"""What the driver tells the world about itself: one document of `stream_health`, `_id` "driver".

`streaming_lifecycle` judges the application by it, so it says only what has really happened: `last_batch_at` moves when
a micro-batch has been written, or when a trigger found nothing to read. Offsets and totals of a micro-batch change in
one write, so the books can be checked at any moment: what was read is what was accepted, dead-lettered or lost.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from spark_jobs.streaming.checkpoint import Origin
from spark_jobs.streaming.counts import BatchCounts
from spark_jobs.streaming.data_loss import Gap
from spark_jobs.streaming.times import EPOCH

DRIVER_ID = "driver"
_TOTALS = ("accepted", "dead_lettered", "late_events", "duplicates", "lost_records")


class Heartbeat:
    """Keeps the driver's document current.

    The query's callback and the application's watch change it from two threads: each change is written whole before the
    next one begins.

    Args:
        db: The platform's database.
        trigger_seconds: The stream's trigger interval, for those who judge its age.
    """

    def __init__(self, db: Database[dict[str, Any]], trigger_seconds: int) -> None:
        self._collection = db["stream_health"]
        self._lock = threading.Lock()
        previous = self._collection.find_one({"_id": DRIVER_ID}) or {}
        self._measured_batch = -1
        now = datetime.now(UTC)
        self._document: dict[str, Any] = {
            "_id": DRIVER_ID,
            "kind": "driver",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "config_hash": os.environ.get("SHOPSTREAM_CONFIG_HASH"),
            "state": "starting",
            "error": None,
            # Whoever looks between two drivers of a crash loop still finds why they fail.
            "previous_error": previous.get("error"),
            "started_at": now,
            "updated_at": now,
            "trigger_seconds": trigger_seconds,
            "dimensions": None,
            "generation": previous.get("generation"),
            "topic_id": previous.get("topic_id", ""),
            "protected_until": previous.get("protected_until"),
            "last_batch_id": previous.get("last_batch_id", -1),
            "last_batch_at": None,
            "batch_started_at": None,
            "batch_duration_ms": None,
            "input_rows": 0,
            "rows_per_second": 0.0,
            "start_offsets": previous.get("start_offsets", {}),
            "end_offsets": previous.get("end_offsets", {}),
            "watermark": previous.get("watermark"),
            "newest_record": previous.get("newest_record", EPOCH),
            "state_bytes": 0,
            "state_file_bytes": 0,
            "open_sessions": 0,
            "queries": [],
            **{name: previous.get(name, 0) for name in _TOTALS},
        }
        with self._change():
            pass

    @property
    def watermark(self) -> datetime | None:
        """The watermark of the last reported micro-batch; never ahead of Spark's own."""
        return self._document["watermark"]  # type: ignore[no-any-return]

    @property
    def newest_record(self) -> datetime:
        """The newest Kafka timestamp of all finished micro-batches."""
        return self._document["newest_record"]  # type: ignore[no-any-return]

    @property
    def last_batch_id(self) -> int:
        """Number of the last finished micro-batch; -1 before the first."""
        return self._document["last_batch_id"]  # type: ignore[no-any-return]

    @property
    def end_offsets(self) -> Mapping[str, int]:
        """The offset after the last record written, by partition (as text)."""
        return self._document["end_offsets"]  # type: ignore[no-any-return]

    def follow(self, origin: Origin, position: Mapping[int, int]) -> None:
        """Say which checkpoint is used; a new one begins its books at zero, whatever an earlier one had written.

        Args:
            origin: What the checkpoint was made for. Once it is lost, this document is what remains of it.
            position: The offsets after its last committed micro-batch.
        """
        with self._change() as document:
            document |= {"topic_id": origin.topic_id, "protected_until": origin.protected_until}
            if document["generation"] != origin.generation or not position:
                start = {str(partition): offset for partition, offset in origin.start_offsets.items()}
                document |= dict.fromkeys(_TOTALS, 0)
                document |= {
                    "generation": origin.generation,
                    "start_offsets": start,
                    "end_offsets": dict(start),
                    "last_batch_id": -1,
                    "watermark": None,
                    "newest_record": EPOCH,
                }

    def joins(self, dimensions: str) -> None:
        """Say which version of the dimensions all further events are joined with."""
        with self._change() as document:
            document["dimensions"] = dimensions

    def lost(self, gaps: Iterable[Gap]) -> None:
        """Book records that somebody accepted as lost, so that they are not looked for."""
        with self._change() as document:
            for gap in gaps:
                if document["end_offsets"].get(str(gap.partition), gap.next) < gap.next:
                    document["lost_records"] += gap.next - document["end_offsets"][str(gap.partition)]
                    document["end_offsets"][str(gap.partition)] = gap.next

    def state(self, state: str, error: str | None = None) -> None:
        """Record that the application is `starting`, `running`, `stopped` or `failed`."""
        with self._change() as document:
            document |= {"state": state, "error": error}
            if state != "running":
                document["queries"] = [{**one, "active": False} for one in document["queries"]]

    def batch_started(self) -> None:
        """Record that a micro-batch is being written; the next beat says so."""
        with self._lock:
            self._document["batch_started_at"] = datetime.now(UTC)

    def batch_written(self, batch_id: int, counts: BatchCounts, open_sessions: int) -> None:
        """Record a written micro-batch; one that is repeated after a crash is not counted again."""
        now = datetime.now(UTC)
        rows = counts.accepted + counts.dead_lettered
        with self._change() as document:
            started = document["batch_started_at"] or now
            seconds = max((now - started).total_seconds(), 0.001)
            if batch_id > document["last_batch_id"]:
                document["accepted"] += counts.accepted
                document["dead_lettered"] += counts.dead_lettered
                document["late_events"] += counts.late
                document["end_offsets"] |= {str(number): offset for number, offset in counts.end_offsets.items()}
            document |= {
                "last_batch_id": batch_id,
                "last_batch_at": now,
                "batch_started_at": None,
                "batch_duration_ms": round(1000 * seconds),
                "newest_record": max(counts.newest_record, document["newest_record"]),
                "input_rows": rows,
                "rows_per_second": round(rows / seconds, 1),
                "open_sessions": open_sessions,
            }

    def beat(self, name: str, idle: bool, progress: Iterable[Mapping[str, Any]]) -> None:
        """Refresh the document from the own progress reports, oldest first, of a query that is active."""
        with self._change() as document:
            for report in progress:
                self._measure(report)
            document["queries"] = [{"name": name, "active": True}]
            if idle:
                document["last_batch_at"] = datetime.now(UTC)

    @contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        """Change the document and write it, with no other thread between."""
        with self._lock:
            yield self._document
            self._document["updated_at"] = datetime.now(UTC)
            self._collection.replace_one({"_id": DRIVER_ID}, self._document, upsert=True)

    def _measure(self, report: Mapping[str, Any]) -> None:
        # A query that waits for data reports under the number of the batch that is still to come.
        if report["batchId"] <= self._measured_batch or "addBatch" not in report["durationMs"]:
            return
        self._measured_batch = report["batchId"]
        operators = report["stateOperators"]
        self._document["state_bytes"] = sum(operator["memoryUsedBytes"] for operator in operators)
        self._document["state_file_bytes"] = sum(
            operator.get("customMetrics", {}).get("rocksdbSstFileSize", 0) for operator in operators
        )
        for operator in operators:
            if operator["operatorName"] == "dedupeWithinWatermark":
                self._document["duplicates"] += operator.get("customMetrics", {}).get("numDroppedDuplicateRows", 0)
        watermark = report.get("eventTime", {}).get("watermark")
        if watermark and not watermark.startswith("1970-01-01"):
            self._document["watermark"] = datetime.fromisoformat(watermark)
