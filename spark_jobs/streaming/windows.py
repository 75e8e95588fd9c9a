"""Cells -> the documents of `event_aggregations`."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.cells import BRAND_10M, CATEGORY_1H, CATEGORY_5M


def category_5m(cells: DataFrame) -> DataFrame:
    """Return `event_aggregations` of kind `category_5m` from cells (see `cells.cells`)."""
    return _of_kind(cells, CATEGORY_5M).select(
        _id("name", "detail"),
        *_WINDOW,
        F.col("name").alias("category_name"),
        F.col("detail").alias("event_type"),
        "event_count",
        F.hll_sketch_estimate("users").alias("unique_users"),
        F.hll_sketch_estimate("sessions").alias("unique_sessions"),
        _average_price(),
        F.col("price_sum").alias("total_revenue"),
        F.col("price_min").alias("min_price"),
        F.col("price_max").alias("max_price"),
        "price_stddev",
    )


def brand_10m(cells: DataFrame) -> DataFrame:
    """Return `event_aggregations` of kind `brand_10m` from cells (see `cells.cells`)."""
    return _of_kind(cells, BRAND_10M).select(
        _id("name"),
        *_WINDOW,
        F.col("name").alias("brand"),
        "event_count",
        F.hll_sketch_estimate("users").alias("unique_users"),
        _average_price(),
    )


def category_1h(cells: DataFrame) -> DataFrame:
    """Return `event_aggregations` of kind `category_1h` from cells (see `cells.cells`)."""
    return _of_kind(cells, CATEGORY_1H).select(
        _id("name"),
        *_WINDOW,
        F.col("name").alias("category_name"),
        "view_count",
        "cart_count",
        "purchase_count",
        F.col("view_value").alias("view_revenue"),
        F.col("cart_value").alias("cart_revenue"),
        F.col("purchase_value").alias("purchase_revenue"),
    )


_WINDOW = ("kind", "window_start", "window_end")


def _of_kind(cells: DataFrame, kind: str) -> DataFrame:
    return cells.filter(F.col("kind") == kind)


def _id(*keys: str) -> Column:
    start = F.date_format("window_start", "yyyy-MM-dd'T'HH:mm:ss'Z'")
    return F.concat_ws("|", F.col("kind"), start, *keys).alias("_id")


def _average_price() -> Column:
    return (F.col("price_sum") / F.col("event_count")).alias("avg_price")
