"""A little of everything that jobs make Spark do, for the archive of Java classes that `make install` makes.

Loading and checking some fifteen thousand classes is half of what a short job on a laptop takes. Java keeps them in an
archive (application class-data sharing, https://openjdk.org/jeps/350) that `spark_session` names where it exists. All
that this program's Java has loaded goes into it, so this uses what the jobs use, on data that does not matter.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.ml import Pipeline
from pyspark.ml.classification import GBTClassifier, RandomForestClassifier
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_jobs.config import Config
from spark_jobs.session import read_collection, spark_session


def main() -> int:
    """Run it; returns the exit status."""
    config = Config.from_env()
    spark = spark_session("warm_up", config)
    with tempfile.TemporaryDirectory() as folder:
        events = _events(spark, Path(folder))
        _aggregate(events)
        _train(events)
        _stream(spark, Path(folder))
    # Nothing has to listen there: by the time the connection is refused, the connector's classes are loaded.
    with suppress(Py4JJavaError):
        read_collection(spark, config, "none", schema="_id string").head()
    spark.stop()
    return 0


def _events(spark: SparkSession, folder: Path) -> DataFrame:
    """Return some rows (`user`, `at`, `price`, `label`), parsed from JSON and read from Parquet."""
    number = F.col("id")
    text = F.to_json(F.struct((number % 7).alias("user"), (number * 60).alias("second"), number.alias("price")))
    parsed = F.from_json(text, "user string, second long, price double").alias("event")
    rows = spark.range(1000).select(number, text.alias("text"), parsed)
    path = str(folder / "events")
    rows.select(
        F.col("event.user"),
        F.timestamp_seconds("event.second").alias("at"),
        F.col("event.price"),
        (number % 2).cast("double").alias("label"),
        F.sha2("text", 256).alias("digest"),
    ).write.parquet(path)
    return spark.read.parquet(path)


def _aggregate(events: DataFrame) -> None:
    hourly = events.groupBy("user", F.window("at", "1 hour").alias("hour")).agg(
        F.count("*").alias("events"),
        F.sum("price").alias("sum"),
        F.approx_count_distinct("digest").alias("distinct"),
        F.percentile_approx("price", 0.5).alias("median"),
        F.collect_set("label").alias("labels"),
    )
    order = Window.partitionBy("user").orderBy("hour")
    ranked = hourly.withColumn("before", F.lag("sum").over(order)).withColumn("rank", F.row_number().over(order))
    joined = ranked.join(events.select("user").distinct(), "user", how="inner").join(
        F.broadcast(events.groupBy("user").agg(F.max("at").alias("last"))), "user", how="left"
    )
    joined.orderBy("user", "rank").toPandas()
    joined.limit(5).collect()


def _train(events: DataFrame) -> None:
    columns = VectorAssembler(inputCols=["price"], outputCol="raw")
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    for estimator in (
        KMeans(k=2, seed=1),
        RandomForestClassifier(numTrees=2, maxDepth=2, seed=1),
        GBTClassifier(maxIter=2, maxDepth=2, seed=1),
    ):
        Pipeline(stages=[columns, scaler, estimator]).fit(events).transform(events).select("prediction").collect()


def _stream(spark: SparkSession, folder: Path) -> None:
    """Run a query with a watermark, state in RocksDB and a checkpoint."""
    spark.conf.set(
        "spark.sql.streaming.stateStore.providerClass",
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    )
    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
    counted = rows.withWatermark("timestamp", "10 minutes").groupBy(F.window("timestamp", "5 minutes")).count()
    query = (
        counted.writeStream.outputMode("update")
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(_look_at)
        .start()
    )
    query.awaitTermination()


def _look_at(batch: DataFrame, _: int) -> None:
    batch.count()


if __name__ == "__main__":
    sys.exit(main())
