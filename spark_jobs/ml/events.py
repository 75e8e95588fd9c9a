"""The events of a snapshot as a DataFrame, and spans of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

EVENT_TYPES = ("view", "cart", "remove_from_cart", "purchase")

# Sums over decimals are exact: they do not depend on the order of the rows, so neither do the documents made of them.
PRICE_TYPE = "decimal(14,4)"

SCHEMA = (
    "_id string, event_timestamp timestamp, event_type string, product_id long, category_name string, brand string, "
    "price double, user_id long, user_session string"
)


def read_events(spark: SparkSession, path: Path) -> DataFrame:
    """Read a snapshot.

    Returns:
        The columns of `SCHEMA`, `price` cleaned (see `clean_prices`).
    """
    return clean_prices(spark.read.schema(SCHEMA).parquet(str(path)))


def clean_prices(events: DataFrame) -> DataFrame:
    """Turn `price` into decimal(14,4); null where it is NaN, infinite or 10 billion and more, so no price at all."""
    return events.withColumn("price", F.expr(f"try_cast(price as {PRICE_TYPE})"))


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Keep the events of [start, end); both must carry a time zone."""
    return events.where((F.col("event_timestamp") >= F.lit(start)) & (F.col("event_timestamp") < F.lit(end)))


def is_type(event_type: str) -> Column:
    """Whether an event is of this type."""
    return F.col("event_type") == event_type


def ratio(numerator: Column, denominator: Column) -> Column:
    """Divide as doubles; null where the denominator is zero or null."""
    return F.try_divide(numerator.cast("double"), denominator.cast("double"))


def document_id(as_of_text: str, *keys: Column | str) -> Column:
    """Make the `_id` of an as-of document: `as_of|key|...`.

    Args:
        as_of_text: `as_of` in ISO form.
        keys: Columns, or names of columns.
    """
    return F.concat_ws("|", F.lit(as_of_text), *(F.col(key) if isinstance(key, str) else key for key in keys))
