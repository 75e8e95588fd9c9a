"""The life of the streaming application: start, run until told to stop, or fail loudly."""

from __future__ import annotations

import fcntl
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.mongo import Document
from spark_jobs.streaming import dimension_versions
from spark_jobs.streaming.dimensions import Dimensions
from spark_jobs.streaming.heartbeat import Heartbeat
from spark_jobs.streaming.outputs import outputs
from spark_jobs.streaming.sink import Sink
from spark_jobs.streaming.visits import VISIT_GAP, OpenVisits

log = logging.getLogger(__name__)

QUERY_NAME = "customer_events"
_POLL_SECONDS = 1.0

INDEXES = {
    "enriched_events": ["event_timestamp"],
    "event_aggregations": ["window_start"],
    "user_session_analytics": ["session_start", "session_end"],
    "conversion_funnel": ["window_start"],
}


@contextmanager
def sole_driver(config: Config) -> Iterator[None]:
    """Hold the lease that no two drivers on this machine can hold; the kernel drops it with its owner.

    Raises:
        JobError: Another driver holds it.
    """
    folder = config.data_dir / "stream"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "driver.lock").open("w") as lease:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError("another streaming driver is running here (the streaming_lifecycle DAG stops it)") from None
        yield


class StreamingApplication:
    """Runs the streaming query and restarts it on new dimensions.

    Args:
        spark: The session.
        config: Settings.
        db: The platform's database.
    """

    def __init__(self, spark: SparkSession, config: Config, db: Database[Document]) -> None:
        self._spark = spark
        self._config = config
        self._db = db
        self._checkpoint = config.data_dir / "checkpoints" / "stream"
        self._terminated = threading.Event()
        self._pausing = threading.Event()
        self._heartbeat = Heartbeat(db, config.trigger_seconds, resumed=self._resumed)

    @property
    def _resumed(self) -> bool:
        return (self._checkpoint / "commits").is_dir()

    def run(self) -> None:
        """Stream until SIGTERM or SIGINT.

        Raises:
            RuntimeError: The query failed; the message carries Spark's reason.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)
        for collection, fields in INDEXES.items():
            for field in fields:
                self._db[collection].create_index(field)
        try:
            while not self._terminated.is_set():
                self._run_query()
        except Exception as error:
            self._heartbeat.state("failed", str(error).splitlines()[0][:500])
            raise
        self._heartbeat.state("stopped")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("%s: finishing the micro-batch", signal.Signals(number).name)
        self._terminated.set()

    def _run_query(self) -> None:
        """Run the query until it has to end, or until the dimensions change."""
        dimensions = Dimensions(self._spark, self._config, self._db)
        open_visits = self._restore_visits()
        log.info("dimensions: %s; %d visits are open", dimensions.sizes, len(open_visits))
        sink = Sink(self._config, self._db, dimensions, open_visits, self._heartbeat.newest_record)
        self._pausing.clear()
        query = self._start(sink, dimensions)
        self._heartbeat.state("running")
        try:
            self._watch(query, dimensions)
        finally:
            query.stop()
            dimensions.release()

    def _start(self, sink: Sink, dimensions: Dimensions) -> StreamingQuery:
        def write(batch: DataFrame, batch_id: int) -> None:
            if self._pausing.is_set():
                # Returning would commit the batch unwritten. It is repeated by the next query.
                raise InterruptedError("the application is stopping")
            self._heartbeat.batch_started()
            if self._heartbeat.watermark:
                sink.open_visits.forget(self._heartbeat.watermark)
            self._heartbeat.batch_written(batch_id, sink.write(batch, batch_id))

        return (
            outputs(self._records(), dimensions.products, self._config.state_partitions)
            .writeStream.queryName(QUERY_NAME)
            .outputMode("update")
            .foreachBatch(write)
            .option("checkpointLocation", str(self._checkpoint))
            .trigger(processingTime=f"{self._config.trigger_seconds} seconds")
            .start()
        )

    def _records(self) -> DataFrame:
        return (
            self._spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self._config.kafka_bootstrap)
            .option("subscribe", self._config.topic)
            .option("startingOffsets", "earliest")
            .option("failOnDataLoss", "true")
            .option("maxOffsetsPerTrigger", self._config.max_offsets_per_trigger)
            .load()
        )

    def _watch(self, query: StreamingQuery, dimensions: Dimensions) -> None:
        polls_per_refresh = max(1, round(self._config.dimension_refresh_seconds / _POLL_SECONDS))
        polls = 0
        while query.isActive:
            self._terminated.wait(_POLL_SECONDS)
            polls += 1
            active, status = query.isActive, query.status
            self._heartbeat.beat(QUERY_NAME, active, active and not status["isTriggerActive"], query.recentProgress)
            changed = polls % polls_per_refresh == 0 and dimension_versions.current(self._db) != dimensions.version
            if changed:
                log.info("the dimensions changed; the query goes on with the new ones")
            if self._terminated.is_set() or changed:
                self._pausing.set()
            if self._pausing.is_set() and not status["isTriggerActive"]:
                return
        error = query.exception()
        if error is not None and not self._pausing.is_set():
            raise RuntimeError(f"the query {QUERY_NAME} failed: {error}")

    def _restore_visits(self) -> OpenVisits:
        """Read back the visits that may still change; a new checkpoint reads the whole topic and needs none."""
        watermark = self._heartbeat.watermark
        if not self._resumed:
            return OpenVisits()
        condition = {"session_end": {"$gte": watermark - VISIT_GAP}} if watermark else {}
        return OpenVisits(self._db["user_session_analytics"].find(condition))
