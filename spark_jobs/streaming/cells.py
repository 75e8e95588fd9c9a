"""Valid events -> cells: the partial or complete aggregates that Spark keeps in its state store.

Every windowed collection is an aggregate over a group of events within a fixed window of event time. One event falls
into five such groups. Exploding it into them and aggregating once costs one shuffle and one state store, where a query
per collection would read, parse, de-duplicate and shuffle everything again.

A visit has no fixed window, so its cells are half-hour parts: within one part no gap can exceed the 30 minutes that
separate visits. `visits` joins the parts.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

CATEGORY_5M = "category_5m"
BRAND_10M = "brand_10m"
CATEGORY_1H = "category_1h"
VISIT_PART = "visit_part"

MINUTE = 60
VISIT_GAP_MINUTES = 30
# A visit lists a hundred names of each kind in each of its parts; a producer that sends texts of a megabyte must not
# make a document of them that MongoDB refuses.
LISTED_NAME_LENGTH = 128

# An event exactly ten minutes behind the newest is on time; Spark drops what is not newer than its watermark, which has
# millisecond resolution, hence the extra millisecond.
LATENESS = "10 minutes 1 millisecond"
_LATENESS_MS = 600_001

# What the aggregates read of an event; Spark would carry every other column through its five copies.
_USED = (
    "event_timestamp",
    "event_type",
    "category_name",
    "brand",
    "price",
    "user_id",
    "user_session",
    "product_id",
    "kafka_timestamp",
)

# log2 of the sketch's buckets: standard error 0.8 %, so the 5 % of the contract are six standard errors away. Small
# groups stay in the sketch's sparse mode, which is exact in practice and takes a few bytes per member.
SKETCH_LG_BUCKETS = 14


def distinct_events(events: DataFrame) -> DataFrame:
    """Drop events that arrived before, and events later than the watermark.

    Args:
        events: Valid events, with `_id` and a watermark of `LATENESS` on `event_timestamp`.

    Returns:
        The first row of every `_id`. Its state is released when the watermark is ten minutes past the event: by then a
        repetition is late, and dropped as such.
    """
    return events.dropDuplicatesWithinWatermark(["_id"])


def cells(events: DataFrame) -> DataFrame:
    """Aggregate events into cells.

    Args:
        events: `event_timestamp`, `event_type`, `category_name`, `brand`, `price`, `user_id`, `user_session`,
            `product_id`, `kafka_timestamp`.

    Returns:
        One row per changed cell: the key (`kind`, `window_start`, `window_end`, `name`, `detail`, and their
        `cell_hash`), the aggregates, and `first_arrival`, the oldest Kafka timestamp of its events. `name` and `detail`
        are category and event type, brand and "", category and "", or session id and user id.
    """
    exploded = events.select(*_USED, F.explode(_groups()).alias("cell")).select(
        *_USED,
        F.col("cell.kind").alias("kind"),
        F.col("cell.window_start").alias("window_start"),
        # The watermark's metadata on the end of the window is what lets Spark release a cell's state: the same rule as
        # for F.window, which cannot be used because it makes windows of one length only.
        F.col("cell.window_end").alias("window_end", metadata={"spark.watermarkDelayMs": _LATENESS_MS}),
        F.col("cell.name").alias("name"),
        F.col("cell.detail").alias("detail"),
    )
    # Aggregating sorts by the key. A number that differs from cell to cell decides nearly every comparison at once;
    # most cells share their window, and would be compared text by text.
    keyed = exploded.withColumn("cell_hash", F.xxhash64("window_start", "kind", "name", "detail"))
    return keyed.groupBy("cell_hash", "window_end", "window_start", "kind", "name", "detail").agg(*_aggregates())


def _groups() -> Column:
    category, brand, kind_of_event = F.col("category_name"), F.col("brand"), F.col("event_type")
    nothing = F.lit("")
    return F.array(
        _group(CATEGORY_5M, 5, 0, category, kind_of_event),
        _group(BRAND_10M, 5, 10, brand, nothing),
        _group(BRAND_10M, 5, 10, brand, nothing, shift=-5),
        _group(CATEGORY_1H, 60, 0, category, nothing),
        _group(VISIT_PART, VISIT_GAP_MINUTES, 0, F.col("user_session"), F.col("user_id").cast("string")),
    )


def _group(kind: str, step: int, length: int, name: Column, detail: Column, shift: int = 0) -> Column:
    """Describe one group of the event: windows of `length` (else `step`) minutes that start every `step` minutes."""
    seconds = F.unix_seconds("event_timestamp")
    start = seconds - F.pmod(seconds, F.lit(step * MINUTE)) + F.lit(shift * MINUTE)
    return F.struct(
        F.lit(kind).alias("kind"),
        F.timestamp_seconds(start).alias("window_start"),
        F.timestamp_seconds(start + F.lit((length or step) * MINUTE)).alias("window_end"),
        name.alias("name"),
        detail.alias("detail"),
    )


def _aggregates() -> list[Column]:
    price, event_type = F.col("price"), F.col("event_type")
    is_visit = F.col("kind") == VISIT_PART
    counts_people = F.col("kind").isin(CATEGORY_5M, BRAND_10M)
    columns = [
        F.count("*").alias("event_count"),
        F.min("kafka_timestamp").alias("first_arrival"),
        F.sum("price").alias("price_sum"),
        F.min("price").alias("price_min"),
        F.max("price").alias("price_max"),
        F.stddev_samp("price").alias("price_stddev"),
        F.min("event_timestamp").alias("first_event"),
        F.max("event_timestamp").alias("last_event"),
        F.hll_sketch_agg(F.when(counts_people, F.col("user_id")), SKETCH_LG_BUCKETS).alias("users"),
        F.hll_sketch_agg(F.when(F.col("kind") == CATEGORY_5M, F.col("user_session")), SKETCH_LG_BUCKETS).alias(
            "sessions"
        ),
        # One set instead of three: each of these aggregates costs an object per cell.
        F.collect_set(F.when(is_visit, _item(event_type == "view"))).alias("items"),
    ]
    for name in ("view", "cart", "remove_from_cart", "purchase"):
        columns.append(F.count_if(event_type == name).alias(f"{name}_count"))
        columns.append(F.sum(F.when(event_type == name, price).otherwise(0.0)).alias(f"{name}_value"))
    return columns


def _item(is_view: Column) -> Column:
    """Describe what an event was about, for the sets of a visit; product and brand count only where viewed."""
    return F.struct(
        F.when(is_view, F.col("product_id")).alias("product_id"),
        F.when(is_view, _listed("brand")).alias("brand"),
        _listed("category_name").alias("category_name"),
    )


def _listed(name: str) -> Column:
    return F.substring(name, 1, LISTED_NAME_LENGTH)
