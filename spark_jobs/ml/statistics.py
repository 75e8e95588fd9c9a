"""Prices, correlations of behaviour, and categories over the 30 days: `statistical_analysis`."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id, is_type

# Figures per user whose correlations are reported.
_MEASURES = ("sessions", "views", "carts", "purchases", "spend", "active_days")

_PERCENTILES = {"p25_price": 0.25, "median_price": 0.5, "p75_price": 0.75, "p95_price": 0.95}


def price_summary(events: DataFrame, as_of: datetime) -> DataFrame:
    """Sum up the prices of each event type, and of all events under the key `all`.

    Args:
        events: `event_type`, `price` (decimal; null is left out), `user_id`.
        as_of: The run.

    Returns:
        `_id`, `as_of`, `kind`, `key`, `event_count`, `unique_users`, `avg_price`, `price_stddev` (of a sample; null
        below two prices), `min_price`, `p25_price`, `median_price`, `p75_price`, `p95_price`, `max_price`.
    """
    extremes = [F.min("price").cast("double").alias("min_price"), F.max("price").cast("double").alias("max_price")]
    grouped = events.rollup("event_type").agg(*_figures(), *extremes)
    keyed = _with_percentiles(grouped).withColumn("key", F.coalesce("event_type", F.lit("all")))
    names = ("event_count", "unique_users", "avg_price", "price_stddev", "min_price", *_PERCENTILES, "max_price")
    return keyed.select(*_header("price_summary", as_of), *names)


def category_statistics(events: DataFrame, as_of: datetime) -> DataFrame:
    """Sum up each category.

    Args:
        events: `category_name`, `price` (decimal; null is left out), `user_id`.
        as_of: The run.

    Returns:
        `_id`, `as_of`, `kind`, `key` and `category_name` (the same), `event_count`, `unique_users`, `avg_price`,
        `price_stddev` (of a sample; null below two prices), `median_price`, `p95_price`.
    """
    named = events.withColumn("key", F.coalesce("category_name", F.lit("unknown")))
    names = ("event_count", "unique_users", "avg_price", "price_stddev", "median_price", "p95_price")
    grouped = _with_percentiles(named.groupBy("key").agg(*_figures()))
    return grouped.select(*_header("category", as_of), F.col("key").alias("category_name"), *names)


def correlations(events: DataFrame, as_of: datetime) -> DataFrame:
    """Correlate what users do, over all users.

    Args:
        events: `event_timestamp`, `event_type`, `price` (decimal), `user_id`, `user_session`.
        as_of: The run.

    Returns:
        A row per pair of sessions, views, carts, purchases, spend and active_days of a user: `_id`, `as_of`, `kind`,
        `key` (`first~second`), `measure_a`, `measure_b`, `correlation` (Pearson, -1 to 1; null if one of them is the
        same for all users), `users`.
    """
    per_user = events.groupBy("user_id").agg(
        F.size(F.collect_set("user_session")).alias("sessions"),
        F.count_if(is_type("view")).alias("views"),
        F.count_if(is_type("cart")).alias("carts"),
        F.count_if(is_type("purchase")).alias("purchases"),
        F.coalesce(F.sum(F.when(is_type("purchase"), F.col("price"))).cast("double"), F.lit(0.0)).alias("spend"),
        F.size(F.collect_set(F.to_date("event_timestamp"))).alias("active_days"),
    )
    pairs = [
        F.struct(F.lit(a).alias("measure_a"), F.lit(b).alias("measure_b"), _correlation(a, b).alias("correlation"))
        for a, b in combinations(_MEASURES, 2)
    ]
    row = per_user.agg(F.array(*pairs).alias("pairs"), F.count("*").alias("users"))
    long = row.select(F.explode("pairs").alias("pair"), "users").select("pair.*", "users")
    keyed = long.withColumn("key", F.concat_ws("~", "measure_a", "measure_b"))
    return keyed.select(*_header("correlation", as_of), "measure_a", "measure_b", "correlation", "users")


def _correlation(a: str, b: str) -> Column:
    """Return Pearson's coefficient; F.corr divides by zero where a column is the same in all rows."""
    return F.try_divide(F.covar_pop(a, b), F.stddev_pop(a) * F.stddev_pop(b))


def _header(kind: str, as_of: datetime) -> list[Column]:
    return [
        document_id(iso(as_of), F.lit(kind), "key").alias("_id"),
        F.lit(as_of).alias("as_of"),
        F.lit(kind).alias("kind"),
        F.col("key"),
    ]


def _figures() -> list[Column]:
    price = F.col("price").cast("double")
    return [
        F.count("*").alias("event_count"),
        # Not count_distinct: it groups by user first, with a table of prices for each.
        F.size(F.collect_set("user_id")).alias("unique_users"),
        F.avg("price").cast("double").alias("avg_price"),
        F.stddev_samp(price).alias("price_stddev"),
        # Exact: an approximate one depends on how the rows are spread over partitions. All at once, for each counts all
        # prices.
        F.percentile(price, list(_PERCENTILES.values())).alias("percentiles"),
    ]


def _with_percentiles(grouped: DataFrame) -> DataFrame:
    """Give each percentile a column of its own."""
    return grouped.withColumns({name: F.col("percentiles")[at] for at, name in enumerate(_PERCENTILES)})
