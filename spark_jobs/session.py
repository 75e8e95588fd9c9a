"""The Spark session every job of the platform uses, and its reads and writes of MongoDB."""

from __future__ import annotations

import os
from pathlib import Path

import pyspark
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


# One collector thread is enough for a laptop's few cores.
_LOCAL_JAVA_OPTIONS = "-XX:+UseSerialGC"
# There, a job of half a minute ends before the optimising compiler has earned back the CPU time it takes.
_SHORT_LIVED_JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1",)
# And one of some minutes spends half of its CPU time on compiling what is hardly worth it. So only what runs ten times
# as often as Java's defaults ask for is optimised. What runs for every event still is, within the first seconds.
_LONG_RUNNING_JAVA_OPTIONS = (
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)
# What `make install` makes beside the connectors' jars; one that is out of date is ignored, silently.
_CLASS_ARCHIVE = "classes.jsa"
_CLASS_ARCHIVE_JAVA_OPTIONS = '"-XX:SharedArchiveFile={}" -Xlog:cds*=off'


def spark_session(
    app_name: str, config: Config, settings: dict[str, str] | None = None, long_running: bool = False
) -> SparkSession:
    """Start (or get) the session.

    Args:
        app_name: Shown in logs and listings.
        config: Where MongoDB is, how much memory the driver gets, which jars to add.
        settings: Further Spark settings of this job; they win over the platform's.
        long_running: Whether it runs for more than a minute or two, so that optimising its code pays.

    Returns:
        A session with UTC time zone and the MongoDB and Kafka connectors on its class path.
    """
    java_options = [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"]
    # On a cluster the manager sets the address.
    if config.runs_locally:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        java_options.append(_LOCAL_JAVA_OPTIONS)
        java_options.extend(_LONG_RUNNING_JAVA_OPTIONS if long_running else _SHORT_LIVED_JAVA_OPTIONS)
        java_options.extend(_class_archive(config))
    builder = SparkSession.builder.appName(app_name).master(config.spark_master)
    place = {"spark.ui.enabled": "false"} if config.runs_locally else _CLUSTER_SETTINGS
    for key, value in {**_SETTINGS, **place, **(settings or {})}.items():
        builder = builder.config(key, value)
    builder = builder.config("spark.driver.memory", config.spark_driver_memory)
    builder = builder.config("spark.driver.extraJavaOptions", " ".join(java_options))
    if config.spark_jars:
        class_path = f"{config.spark_jars.resolve()}/*"
        builder = builder.config("spark.driver.extraClassPath", class_path)
        builder = builder.config("spark.executor.extraClassPath", class_path)
    return builder.getOrCreate()


def _class_archive(config: Config) -> list[str]:
    """Return Java's options for the archive of classes, where there is one.

    Java takes it only with the class path it was made with, to the letter: links are resolved.
    """
    if config.spark_jars is None:
        return []
    archive = config.spark_jars.resolve().parent / _CLASS_ARCHIVE
    if not archive.is_file():
        return []
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).resolve().parent))
    return [_CLASS_ARCHIVE_JAVA_OPTIONS.format(archive)]


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


def _connection(config: Config, collection: str) -> dict[str, str]:
    return {"connection.uri": config.mongodb_uri, "database": config.database, "collection": collection}
