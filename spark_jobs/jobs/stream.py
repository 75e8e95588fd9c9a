"""The streaming application: reads click events from Kafka and keeps the live collections in MongoDB current.

Runs until SIGTERM, which lets the micro-batch finish. Only one runs at a time.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.garbage import collect_rarely
from spark_jobs.mongo import database
from spark_jobs.session import spark_session
from spark_jobs.streaming import checkpoint_files
from spark_jobs.streaming.application import StreamingApplication, sole_driver
from spark_jobs.streaming.lease import Lease
from spark_jobs.streaming.outputs import PARSE_ONCE_RULES


def main(_args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Run the application; see `StreamingApplication`."""
    with sole_driver(config):
        db = database(config)
        spark = spark_session("shopstream-stream", config, _settings(config), long_running=True)
        checkpoint_files.configure(spark, config)
        collect_rarely()
        # Last, as everything before it takes a while: the lease of a driver that was killed runs out meanwhile.
        with Lease(db, config.lease_seconds) as lease:
            StreamingApplication(spark, config, db, lease).run()
        spark.stop()
    return {}


def _settings(config: Config) -> dict[str, str]:
    return {
        "spark.sql.shuffle.partitions": str(config.state_partitions),
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        # Counting the rows of the state would read every row once more before it is written or removed.
        "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows": "false",
        # Stateful queries do not use adaptive execution, and warn where it is on.
        "spark.sql.adaptive.enabled": "false",
        # Sorting a batch's cells takes half the time of holding a set and two sketches for each of them in memory.
        "spark.sql.execution.useObjectHashAggregateExec": "false",
        # What every operator of a micro-batch, and every broadcast, takes of the heap at least. With the defaults of 16
        # and 4 MB even small batches fill it so quickly that Java stops for a full collection in every other one.
        "spark.buffer.pageSize": "1m",
        "spark.broadcast.blockSize": "256k",
        "spark.sql.optimizer.excludedRules": ",".join(PARSE_ONCE_RULES),
        # Deriving conditions from others finds nothing in this plan, and takes a twentieth of a small micro-batch.
        "spark.sql.constraintPropagation.enabled": "false",
        # A micro-batch is collected whole, and its range is fixed from its first attempt on. Where records are as large
        # as Kafka takes them it may need a larger heap, and then that alone must do.
        "spark.driver.maxResultSize": "0",
        "spark.sql.streaming.numRecentProgressUpdates": "10",
        "spark.sql.streaming.minBatchesToRetain": "20",
        **checkpoint_files.settings(config),
    }


if __name__ == "__main__":
    sys.exit(run(main, argparse.ArgumentParser(description=__doc__)))
