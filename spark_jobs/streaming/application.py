"""The life of the streaming application: start, run until told to stop, outlast short outages, or fail loudly."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any

from py4j.protocol import Py4JJavaError
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_jobs.config import Config
from spark_jobs.errors import JobError, first_lines
from spark_jobs.mongo import Document, database, indexed
from spark_jobs.streaming import dimension_versions, rebuild
from spark_jobs.streaming.checkpoint import Checkpoint, Origin
from spark_jobs.streaming.dimensions import Dimensions
from spark_jobs.streaming.heartbeat import Heartbeat
from spark_jobs.streaming.lease import Lease
from spark_jobs.streaming.open_visits import OpenVisits
from spark_jobs.streaming.outputs import outputs, state_layout
from spark_jobs.streaming.sink import Sink
from spark_jobs.streaming.startup import Start, prepare
from spark_jobs.streaming.times import EPOCH
from spark_jobs.streaming.visits import VISIT_GAP

log = logging.getLogger(__name__)

QUERY_NAME = "customer_events"
_POLL_SECONDS = 1.0

# In event time. Going through all open visits takes longer than a small micro-batch, and an hour has many of those.
_FORGET_EVERY = timedelta(minutes=1)

# A document store or broker that comes back within this time costs no relaunch.
_OUTAGE_SECONDS = 120.0
_ATTEMPTS = 5
_OUTAGE = re.compile(
    r"KafkaUnreachable|ServerSelectionTimeout|AutoReconnect|NetworkTimeout|ConnectionFailure|NotPrimary|MongoSocket|MongoTimeout"
    r"|MongoNodeIsRecovering|MongoNotPrimary|Connection (refused|reset)"
    r"|kafka\.common\.errors\.(Timeout|Disconnect|BrokerNotAvailable)"
)


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


def _reason(error: Exception) -> str:
    """Return an error in one line; the first one of Py4J names its own call, the second one says what Java says."""
    return first_lines(error, 2 if isinstance(error, Py4JJavaError) else 1)[:500]


def _clean_up(step: Callable[[], object]) -> None:
    """Do what is left to do; where Spark is ending, what that runs into must not stand in for the reason."""
    try:
        step()
    except Exception as error:
        log.warning("cleaning up: %s", _reason(error))


class StreamingApplication:
    """Runs the streaming query; restarts it on new dimensions and after short outages of what it depends on.

    Args:
        spark: The session.
        config: Settings.
        db: The platform's database.
        lease: The right to write there, held.
    """

    def __init__(self, spark: SparkSession, config: Config, db: Database[Document], lease: Lease) -> None:
        self._spark = spark
        self._config = config
        self._db = db
        # Connections of its own: neither the heartbeat nor the lease ever waits for a bulk to be written.
        self._writing_db = database(config, connections=config.stream_writers)
        self._lease = lease
        self._checkpoint = Checkpoint(config.data_dir / "checkpoints" / "stream")
        self._terminated = threading.Event()
        self._pausing = threading.Event()
        self._writing = threading.Lock()
        self._heartbeat = Heartbeat(db, config.trigger_seconds)
        self._attempts = 0

    def run(self) -> None:
        """Stream until SIGTERM or SIGINT.

        Raises:
            RuntimeError: The query failed; the message carries Spark's reason.
            JobError: Checkpoint, topic and code do not fit; see `startup.prepare`.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)
        try:
            while not self._terminated.is_set():
                try:
                    self._run_query()
                except JobError:
                    raise
                except Exception as error:
                    self._outlast(error)
        except Exception as error:
            with suppress(PyMongoError):  # it may be the reason
                self._heartbeat.state("failed", _reason(error))
            raise
        self._heartbeat.state("stopped")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("%s: finishing the micro-batch", signal.Signals(number).name)
        self._terminated.set()

    def _outlast(self, error: Exception) -> None:
        """Wait for the document store after an outage; anything else is raised again, and so is one too many."""
        self._attempts += 1
        if self._attempts > _ATTEMPTS or not _OUTAGE.search(f"{type(error).__name__}: {error}"):
            raise error
        log.warning("outage %d of %d without a batch between: %s", self._attempts, _ATTEMPTS, str(error)[:500])
        deadline = time.monotonic() + _OUTAGE_SECONDS
        while not self._terminated.wait(_POLL_SECONDS):
            try:
                self._db.client.admin.command("ping")
            except ConnectionFailure:
                if time.monotonic() > deadline:
                    raise error from None
                continue
            return

    def _run_query(self) -> None:
        """Run the query until it has to end, or until the dimensions change."""
        dimensions = Dimensions(self._spark, self._config, self._db)
        try:
            partitions = self._config.state_partitions
            layout = state_layout(self._records(), dimensions.products, partitions, self._config.topic)
            start = prepare(self._config, self._db, self._checkpoint, layout)
            self._heartbeat.follow(start.origin, start.position)
            self._heartbeat.lost(start.lost)
            self._heartbeat.joins(dimensions.version)
            open_visits = self._restore_visits(start)
            log.info("dimensions: %s; %d sessions are open", dimensions.sizes, len(open_visits))
            sink = Sink(self._writing_db, open_visits, start.origin, self._heartbeat.newest_record)
            self._pausing.clear()
            plan = outputs(self._records(start), dimensions.products, dimensions.users, partitions)
            query = self._start(plan, sink)
            try:
                self._heartbeat.state("running")
                self._watch(query, sink, dimensions, start)
            finally:
                _clean_up(query.stop)
        finally:
            _clean_up(dimensions.release)

    def _start(self, plan: DataFrame, sink: Sink) -> StreamingQuery:
        next_look = EPOCH

        def write(batch: DataFrame, batch_id: int) -> None:
            nonlocal next_look
            if self._pausing.is_set():
                # Returning would commit the batch unwritten. It is repeated by the next query.
                raise InterruptedError("the application is stopping")
            self._lease.confirm()
            self._heartbeat.batch_started()
            if (watermark := self._heartbeat.watermark) and watermark >= next_look:
                sink.open_visits.forget(watermark)
                next_look = watermark + _FORGET_EVERY
            with self._writing:
                counts = sink.write(batch, batch_id, self._checkpoint.late_until(batch_id))
            self._heartbeat.batch_written(batch_id, counts, len(sink.open_visits))
            self._attempts = 0

        return (
            plan.writeStream.queryName(QUERY_NAME)
            .outputMode("update")
            .foreachBatch(write)
            .option("checkpointLocation", str(self._checkpoint.folder))
            .trigger(processingTime=f"{self._config.trigger_seconds} seconds")
            .start()
        )

    def _records(self, start: Start | None = None) -> DataFrame:
        """Read the topic from its oldest record; `start` adds where exactly, and which loss has been accepted."""
        reader = (
            self._spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self._config.kafka_bootstrap)
            .options(**self._config.kafka_login.source_options())
            .option("subscribe", self._config.topic)
            .option("startingOffsets", "earliest")
            .option("failOnDataLoss", "false" if start and start.lost else "true")
            .option("maxOffsetsPerTrigger", self._config.max_offsets_per_trigger)
        )
        if start:
            reader = reader.option("startingOffsets", json.dumps({self._config.topic: start.origin.start_offsets}))
        return reader.load()

    def _watch(self, query: StreamingQuery, sink: Sink, dimensions: Dimensions, start: Start) -> None:
        polls_per_refresh = max(1, round(self._config.dimension_refresh_seconds / _POLL_SECONDS))
        polls = 0
        origin, batches = start.origin, self._heartbeat.last_batch_id
        while True:
            if self._terminated.wait(_POLL_SECONDS):
                # The micro-batch is being finished, and needs the processor more.
                time.sleep(_POLL_SECONDS / 4)
            polls += 1
            idle = not query.status["isTriggerActive"]
            if not query.isActive:
                # Whether that is the end is decided below; until then nobody has to act on it.
                break
            try:
                self._lease.confirm()
                self._heartbeat.beat(QUERY_NAME, idle, query.recentProgress)
                origin = self._finish_rebuild(origin, sink)
                changed = polls % polls_per_refresh == 0 and dimension_versions.current(self._db) != dimensions.version
            except ConnectionFailure as error:
                # The query finds out by itself whether it can still write.
                log.warning("no heartbeat could be written: %s", error)
                changed = False
            if changed:
                log.info("the dimensions changed; the query goes on with the new ones")
            past_loss = bool(start.lost) and self._heartbeat.last_batch_id > batches
            if self._terminated.is_set() or changed or past_loss:
                self._pausing.set()
            if self._pausing.is_set() and idle:
                return
        failure = query.exception()
        if failure is not None and not self._pausing.is_set():
            raise RuntimeError(f"the query {QUERY_NAME} failed: {failure}")

    def _finish_rebuild(self, origin: Origin, sink: Sink) -> Origin:
        if origin.rebuild_until is None or not rebuild.is_complete(origin, self._heartbeat.end_offsets):
            return origin
        # Never beside the sink, which counts and writes the same windows: after the next poll will do as well.
        if not self._writing.acquire(blocking=False):
            return origin
        try:
            rebuild.remove_stale(self._db, origin)
            sink.rebuilt()
        finally:
            self._writing.release()
        return self._checkpoint.rebuilt(origin)

    def _restore_visits(self, start: Start) -> OpenVisits:
        """Read back the visits that may still change; a new checkpoint reads the whole topic and needs none."""
        if not start.position:
            return OpenVisits(complete_from=EPOCH)
        condition: dict[str, Any] = {"generation": start.origin.generation}
        complete_from = EPOCH
        if watermark := self._heartbeat.watermark:
            # Who starts later ends later.
            complete_from = watermark - VISIT_GAP
            condition["session_end"] = {"$gte": complete_from}
        return OpenVisits(indexed(self._db, "user_session_analytics", "session_end").find(condition), complete_from)
