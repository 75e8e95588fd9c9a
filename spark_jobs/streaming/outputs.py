"""The one streaming plan, and the split of its rows by collection.

Everything leaves Spark through one query, so that all collections belong to the same micro-batch, share one checkpoint
and one watermark, and an application cannot be half alive.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.cells import LATENESS, SKETCH_LG_BUCKETS, cells, distinct_events
from spark_jobs.streaming.enrich import with_product
from spark_jobs.streaming.parse import parse

# Both halves of the plan start from the parsed records. Spark computes a shuffle that is needed twice only once, but
# only if both halves ask for the very same: these rules would push one half's filter and column list below the shuffle.
PARSE_ONCE_RULES = (
    "org.apache.spark.sql.catalyst.optimizer.ColumnPruning",
    "org.apache.spark.sql.catalyst.optimizer.PushDownPredicates",
    "org.apache.spark.sql.catalyst.optimizer.PushPredicateThroughNonJoin",
)

# What the cells are made of. Without those rules nothing else would drop the rest, and it would be shuffled along.
_EVENT_COLUMNS = (
    "_id",
    "event_timestamp",
    "event_type",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
    "product_id",
    "kafka_timestamp",
)


def outputs(records: DataFrame, products: DataFrame, partitions: int) -> DataFrame:
    """Describe what a micro-batch yields.

    Args:
        records: Kafka records.
        products: The product catalogue (`enrich.PRODUCT_SCHEMA`).
        partitions: Number of state partitions.

    Returns:
        Rows with two struct columns, exactly one of which is set: `record` (every Kafka record, parsed, with product
        fields) and `cell` (every cell that changed, as it stands now).
    """
    # The shuffle that finding repeated events needs anyway, moved before the fork.
    parsed = parse(records).repartition(partitions, "_id")
    arrived = with_product(parsed, products)
    valid = parsed.filter(is_valid()).select(*_EVENT_COLUMNS)
    changed = cells(with_product(distinct_events(valid), products))
    record, cell = F.struct(*arrived.columns), F.struct(*changed.columns)
    return arrived.select(record.alias("record"), _null_like(changed).alias("cell")).unionByName(
        changed.select(_null_like(arrived).alias("record"), cell.alias("cell"))
    )


def state_layout(plan: DataFrame, partitions: int, topic: str) -> dict[str, str]:
    """Return what the state in a checkpoint depends on: state written under another layout cannot be read.

    Args:
        plan: What `outputs` returns.
        partitions: Number of state partitions.
        topic: The topic whose offsets the checkpoint holds.
    """
    return {
        "topic": topic,
        "state partitions": str(partitions),
        "lateness": LATENESS,
        "sketch size": str(SKETCH_LG_BUCKETS),
        "cells": plan.select("cell.*").schema.simpleString(),
    }


def is_valid() -> Column:
    """Return the condition that a parsed record breaks no rule."""
    return F.size("reasons") == 0


def _null_like(frame: DataFrame) -> Column:
    return F.lit(None).cast(frame.schema)


def records_of(batch: DataFrame) -> DataFrame:
    """Return the parsed records of a micro-batch of `outputs`."""
    return batch.filter(F.col("record").isNotNull()).select("record.*")


def cells_of(batch: DataFrame) -> DataFrame:
    """Return the changed cells of a micro-batch of `outputs`."""
    return batch.filter(F.col("cell").isNotNull()).select("cell.*")
