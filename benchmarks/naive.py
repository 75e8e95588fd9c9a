"""The baseline: the obvious design, as tutorials show it.

One query per collection, each reading and parsing the topic by itself, 10,000 records per micro-batch, rows appended by
the MongoDB connector when their window has closed. It is kept to be compared with, and it is given every advantage that
does not change the design: the platform's own parsing and enrichment, no limit on how often a query triggers, plain
inserts without `_id`. It has none of the platform's guarantees: repeated events count twice, a crash appends again, and
nothing is visible before its window has closed.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyspark.sql import Column, DataFrame, GroupedData
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from benchmarks.baselines import Inputs, run_until_told
from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.streaming.enrich import enriched, with_product
from spark_jobs.streaming.outputs import is_valid
from spark_jobs.streaming.parse import parse

MAX_OFFSETS = 10_000
QUERIES = ("enriched", "category_5m", "brand_10m", "category_1h", "sessions", "funnel", "dead_letters")
_LATENESS = "10 minutes"


def category_5m(events: DataFrame) -> DataFrame:
    """Aggregate 5 minutes of a category and event type."""
    return _windows(events, F.window("event_timestamp", "5 minutes"), "category_name", "event_type").agg(
        F.count("*").alias("event_count"),
        F.approx_count_distinct("user_id").alias("unique_users"),
        F.approx_count_distinct("user_session").alias("unique_sessions"),
        F.avg("price").alias("avg_price"),
        F.sum("price").alias("total_revenue"),
        F.min("price").alias("min_price"),
        F.max("price").alias("max_price"),
        F.stddev("price").alias("price_stddev"),
    )


def brand_10m(events: DataFrame) -> DataFrame:
    """Aggregate 10 minutes of a brand, every 5 minutes."""
    return _windows(events, F.window("event_timestamp", "10 minutes", "5 minutes"), "brand").agg(
        F.count("*").alias("event_count"),
        F.approx_count_distinct("user_id").alias("unique_users"),
        F.avg("price").alias("avg_price"),
    )


def category_1h(events: DataFrame) -> DataFrame:
    """Aggregate an hour of a category, one column per event type."""
    kinds = ("view", "cart", "purchase")
    return _windows(events, F.window("event_timestamp", "1 hour"), "category_name").agg(
        *[F.count_if(F.col("event_type") == kind).alias(f"{kind}_count") for kind in kinds],
        *[F.sum(F.when(F.col("event_type") == kind, F.col("price"))).alias(f"{kind}_revenue") for kind in kinds],
    )


def sessions(events: DataFrame) -> DataFrame:
    """Aggregate the visits: events of a user and session with no gap of 30 minutes."""
    gap = F.session_window("event_timestamp", "30 minutes").alias("window")
    return _windows(events, gap, "user_id", "user_session").agg(
        F.count("*").alias("total_events"),
        F.min("event_timestamp").alias("session_start"),
        F.max("event_timestamp").alias("session_end"),
        F.approx_count_distinct("product_id").alias("unique_products_viewed"),
        *[
            F.count_if(F.col("event_type") == kind).alias(f"{kind}_count")
            for kind in ("view", "cart", "remove_from_cart", "purchase")
        ],
        F.sum(F.when(F.col("event_type") == "purchase", F.col("price"))).alias("total_purchase_value"),
        F.avg("price").alias("avg_product_price"),
        F.collect_set("category_name").alias("categories_browsed"),
        F.collect_set("brand").alias("brands_viewed"),
    )


def funnel(events: DataFrame) -> DataFrame:
    """Aggregate 15 minutes of visits; by their end, for a second window has to follow the first one's time."""
    return (
        sessions(events)
        .groupBy(F.window(F.window_time("window"), "15 minutes").alias("window"))
        .agg(
            F.count("*").alias("total_sessions"),
            F.count_if(F.col("view_count") > 0).alias("sessions_with_view"),
            F.count_if(F.col("cart_count") > 0).alias("sessions_with_cart"),
            F.count_if(F.col("purchase_count") > 0).alias("sessions_with_purchase"),
            F.sum("total_purchase_value").alias("purchase_value"),
        )
    )


def _windows(events: DataFrame, window: Column, *keys: str) -> GroupedData:
    return events.withWatermark("event_timestamp", _LATENESS).groupBy(window.alias("window"), *keys)


def _start(inputs: Inputs, name: str) -> StreamingQuery:
    """Start the query of one collection, with a source and a parser of its own."""
    records = parse(inputs.records(MAX_OFFSETS))
    events = with_product(records.filter(is_valid()), inputs.products)
    if name == "enriched":
        rows = enriched(events, inputs.users)
    elif name == "dead_letters":
        rows = records.filter(~is_valid()).select(
            "_id", "raw", "reasons", "kafka_partition", "kafka_offset", "kafka_timestamp"
        )
    else:
        shape = {one.__name__: one for one in (category_5m, brand_10m, category_1h, sessions, funnel)}[name]
        rows = shape(events).select("window.start", "window.end", "*").drop("window")
    return (
        rows.drop("_id")
        .writeStream.queryName(name)
        .format("mongodb")
        .outputMode("append")
        .option("connection.uri", inputs.config.mongodb_uri)
        .option("database", inputs.config.database)
        .option("collection", f"naive_{name}")
        .option("checkpointLocation", inputs.checkpoint(name))
        .start()
    )


def main(_args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Run all queries until SIGTERM."""
    inputs = Inputs.open("benchmark-naive", config)
    run_until_told([_start(inputs, name) for name in QUERIES])
    inputs.spark.stop()
    return {}


if __name__ == "__main__":
    sys.exit(run(main, argparse.ArgumentParser(description=__doc__)))
