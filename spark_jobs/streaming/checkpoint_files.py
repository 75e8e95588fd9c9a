"""How Spark writes the files of a checkpoint where its executors are threads of the driver.

Spark's usual way (Hadoop's `FileContext`) looks for links four times before it renames a file into its place. Without
Hadoop's native library, which pyspark does not bring, each look starts a process, `readlink`: fifty in every
micro-batch, a third of the time of a small one. Hadoop's older `FileSystem` just calls rename(2), which replaces a file
of a local disk as atomically.

Two things have to be changed for that. pyspark's jars bring another local file system, Hive's, which replaces no file;
Spark would take its refusal for success, and keep the file of an earlier attempt. And Hadoop's keeps a checksum of each
file in a second one, which is renamed after the first: a kill in between would leave a file that does not fit its
checksum. In Spark's usual way a renamed file has none either; RocksDB's own files have theirs inside.

On a cluster every executor would have to be told that. There, Spark's usual way it is.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from spark_jobs.config import Config

_SETTINGS = {
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
}


def settings(config: Config) -> dict[str, str]:
    """Return the Spark settings a session has to be started with; `configure` belongs to them."""
    return _SETTINGS if config.runs_locally else {}


def configure(spark: SparkSession, config: Config) -> None:
    """Keep a session's local file system from writing checksums, before it writes anything."""
    if config.runs_locally:
        context = spark.sparkContext
        java: Any = context._jvm
        java.org.apache.hadoop.fs.FileSystem.getLocal(context._jsc.hadoopConfiguration()).setWriteChecksum(False)
