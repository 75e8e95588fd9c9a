"""The Spark session every job of the platform uses, and its reads and writes of MongoDB."""

from __future__ import annotations

import os
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.config import Config

# Spark's own defaults are made for clusters; these keep a laptop-sized job quick and quiet.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
    # The embedded document store answers slowly to a flood of connections; one client per executor is plenty.
    "spark.mongodb.keep_alive_ms": "300000",
}


# In a cluster the driver serves its metrics beside its UI, which must show no password in the plans of queries.
_CLUSTER_SETTINGS = {
    "spark.ui.enabled": "true",
    "spark.ui.killEnabled": "false",
    "spark.sql.redaction.string.regex": r"(?i)mongodb(\+srv)?://[^\s@]*@|password=\S+",
}

_LOGGING = Path(__file__).with_name("log4j2.properties")


# On a laptop's few cores the optimising compiler takes more CPU time than the jobs it compiles for: two thirds of all,
# in the first minutes of the stream. A cluster's executors live long enough to earn it back.
_LOCAL_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def spark_session(app_name: str, config: Config, settings: dict[str, str] | None = None) -> SparkSession:
    """Start (or get) the session.

    Args:
        app_name: Shown in logs and listings.
        config: Where MongoDB is, how much memory the driver gets, which jars to add.
        settings: Further Spark settings of this job; they win over the platform's.

    Returns:
        A session with UTC time zone and the MongoDB and Kafka connectors on its class path.
    """
    java_options = [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"]
    local = config.spark_master.startswith("local")
    # On a cluster the manager sets the address.
    if local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        java_options.append(_LOCAL_JAVA_OPTIONS)
    builder = SparkSession.builder.appName(app_name).master(config.spark_master)
    place = {"spark.ui.enabled": "false"} if local else _CLUSTER_SETTINGS
    for key, value in {**_SETTINGS, **place, **(settings or {})}.items():
        builder = builder.config(key, value)
    builder = builder.config("spark.driver.memory", config.spark_driver_memory)
    builder = builder.config("spark.driver.extraJavaOptions", " ".join(java_options))
    if config.spark_jars:
        builder = builder.config("spark.driver.extraClassPath", f"{config.spark_jars}/*")
        builder = builder.config("spark.executor.extraClassPath", f"{config.spark_jars}/*")
    return builder.getOrCreate()


def read_collection(
    spark: SparkSession, config: Config, collection: str, pipeline: str | None = None, schema: str | None = None
) -> DataFrame:
    """Read a MongoDB collection.

    Args:
        spark: The session.
        config: Connection and database.
        collection: Name of the collection.
        pipeline: MongoDB aggregation pipeline (JSON) that the server runs first: filters and projections.
        schema: Columns and types to read, as DDL; without it the connector infers them from a sample.

    Returns:
        The documents.
    """
    reader = (
        spark.read.format("mongodb")
        .options(**_connection(config, collection))
        .option("partitioner", "com.mongodb.spark.sql.connector.read.partitioner.SinglePartitionPartitioner")
    )
    if pipeline:
        reader = reader.option("aggregation.pipeline", pipeline)
    if schema:
        reader = reader.schema(schema)
    return reader.load()


def upsert_collection(frame: DataFrame, config: Config, collection: str) -> None:
    """Replace or insert every row of `frame` by its `_id` column; safe to repeat."""
    _write(frame, config, collection, "replace")


def merge_collection(frame: DataFrame, config: Config, collection: str) -> None:
    """Insert every row of `frame` by its `_id` column, or set its fields in the document that has it."""
    _write(frame, config, collection, "update")


def insert_or_replace_collection(frame: DataFrame, config: Config, collection: str) -> None:
    """Do what `upsert_collection` does, quicker where the documents are new.

    Inserting is several times cheaper for a document store than replacing by `_id`. The rare batch with a document that
    exists already (a repeated batch, a file replayed twice) is written again as a replacement.
    """
    try:
        _write(frame, config, collection, "insert")
    except Py4JJavaError as error:
        if _DUPLICATE_KEY not in str(error):
            raise
        _write(frame, config, collection, "replace")


_DUPLICATE_KEY = "E11000"


def _write(frame: DataFrame, config: Config, collection: str, operation: str) -> None:
    (
        frame.write.format("mongodb")
        .mode("append")
        .options(**_connection(config, collection))
        .option("operationType", operation)
        .option("upsertDocument", "true")
        .option("ordered", "false")
        .option("maxBatchSize", "2000")
        .save()
    )


def _connection(config: Config, collection: str) -> dict[str, str]:
    return {"connection.uri": config.mongodb_uri, "database": config.database, "collection": collection}
