"""What the benchmark's own queries share: they read and enrich with the platform's functions, like the stream."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_jobs.config import Config
from spark_jobs.session import read_collection, spark_session
from spark_jobs.streaming.enrich import PRODUCT_SCHEMA, USER_SCHEMA

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Inputs:
    """A session, and what its queries read: the dimensions, and the Kafka records of one topic."""

    spark: SparkSession
    config: Config
    products: DataFrame
    users: DataFrame

    @classmethod
    def open(cls, name: str, config: Config) -> Inputs:
        """Start a session with the platform's settings and load the dimensions into its memory."""
        spark = spark_session(name, config, long_running=True)
        products = read_collection(spark, config, "products", schema=PRODUCT_SCHEMA).persist()
        users = read_collection(spark, config, "users", schema=USER_SCHEMA).persist()
        products.count()
        users.count()
        return cls(spark, config, products, users)

    def records(self, max_offsets: int) -> DataFrame:
        """Return a stream over the topic from its first record, in micro-batches of at most `max_offsets`."""
        return (
            self.spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self.config.kafka_bootstrap)
            .option("subscribe", self.config.topic)
            .option("startingOffsets", "earliest")
            .option("maxOffsetsPerTrigger", max_offsets)
            .load()
        )

    def checkpoint(self, name: str) -> str:
        """Return the checkpoint folder of a query."""
        return str(checkpoint(self.config.data_dir, name))


def checkpoint(data_dir: Path, name: str) -> Path:
    """Return the checkpoint folder of the query `name`, where the platform's stream has its own."""
    return data_dir / "checkpoints" / name


def run_until_told(queries: list[StreamingQuery]) -> None:
    """Let queries run until SIGTERM.

    Raises:
        RuntimeError: One has ended by itself.
    """
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    while not told.wait(_POLL_SECONDS):
        for query in queries:
            if not query.isActive:
                raise RuntimeError(f"the query {query.name} has ended: {query.exception()}")
    for query in queries:
        query.stop()
