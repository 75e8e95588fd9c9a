"""Typed event + dimensions -> the document of `enriched_events`."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

UNKNOWN = "unknown"

PRODUCT_SCHEMA = "product_id LONG, product_name STRING, category_name STRING, subcategory STRING"
USER_SCHEMA = "user_id LONG, country STRING, city STRING, age_group STRING, gender STRING, user_segment STRING"

DOCUMENT_FIELDS = (
    "_id",
    "event_id",
    "event_time",
    "event_timestamp",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
    "product_name",
    "category_name",
    "subcategory",
    "country",
    "city",
    "age_group",
    "gender",
    "user_segment",
    "price_category",
    "event_hour",
    "event_day_of_week",
    "is_weekend",
    "kafka_partition",
    "kafka_offset",
)


def with_product(events: DataFrame, products: DataFrame) -> DataFrame:
    """Join the product catalogue and settle the names every aggregate groups by.

    Args:
        events: Parsed events (see `parse`).
        products: Columns of `PRODUCT_SCHEMA`, one row per product.

    Returns:
        The events with `product_name`, `subcategory` and `category_name` (the catalogue's, else the first segment of
        `category_code`, else "unknown"); `brand` is "unknown" where it is missing.
    """
    category = F.coalesce(
        F.nullif(F.col("catalogue.category_name"), F.lit("")),
        F.nullif(F.substring_index("events.category_code", ".", 1), F.lit("")),
        F.lit(UNKNOWN),
    )
    kept = [f"events.{name}" for name in events.columns if name != "brand"]
    joined = events.alias("events").join(F.broadcast(products.alias("catalogue")), on="product_id", how="left")
    return joined.select(
        *kept,
        F.coalesce("events.brand", F.lit(UNKNOWN)).alias("brand"),
        F.col("catalogue.product_name").alias("product_name"),
        category.alias("category_name"),
        F.col("catalogue.subcategory").alias("subcategory"),
    )


def enriched(events: DataFrame, users: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """Shape the documents of `enriched_events`.

    Args:
        events: Events with product fields (see `with_product`).
        users: Columns of `USER_SCHEMA`, one row per user.
        keep: Further columns of `events` that are returned.

    Returns:
        One row per event: `DOCUMENT_FIELDS` (the collection's fields without `processing_timestamp`, the time of the
        write), then `keep`. For an event that breaks a rule they are as good as its record allows.
    """
    shaped = events.join(F.broadcast(users), on="user_id", how="left").withColumns(
        {
            "price_category": _price_category(),
            "event_hour": F.hour("event_timestamp"),
            "event_day_of_week": F.dayofweek("event_timestamp"),
            "is_weekend": F.dayofweek("event_timestamp").isin(1, 7),
        }
    )
    return shaped.select(*DOCUMENT_FIELDS, *keep)


def _price_category() -> Column:
    price = F.col("price")
    return F.when(price < 20, "Budget").when(price < 100, "Mid-Range").when(price < 500, "Premium").otherwise("Luxury")
