"""The one streaming plan, and the split of its rows by collection.

Everything leaves Spark through one query, so that all collections belong to the same micro-batch, share one checkpoint
and one watermark, and an application cannot be half alive.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.cells import LATENESS, SKETCH_LG_BUCKETS, cells, distinct_events
from spark_jobs.streaming.enrich import with_product
from spark_jobs.streaming.parse import parse
from spark_jobs.streaming.records import arrivals
from spark_jobs.streaming.windows import figures

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


@dataclass(frozen=True)
class Batch:
    """A micro-batch on the driver, as three Arrow tables.

    Attributes:
        valid: The valid events, columns of `records.arrivals`.
        refused: The records that break a rule, likewise.
        cells: The changed cells, columns of `windows.figures`.
    """

    valid: pa.Table
    refused: pa.Table
    cells: pa.Table


def outputs(records: DataFrame, products: DataFrame, users: DataFrame, partitions: int) -> DataFrame:
    """Describe what a micro-batch yields.

    Args:
        records: Kafka records.
        products: The product catalogue (`enrich.PRODUCT_SCHEMA`).
        users: The user dimension (`enrich.USER_SCHEMA`).
        partitions: Number of state partitions.

    Returns:
        Two kinds of rows, with the columns of both: `records.arrivals` of every Kafka record, and `windows.figures` of
        every cell that changed, as it stands now. The columns of the other kind are null.
    """
    # The shuffle that finding repeated events needs anyway, moved before the fork, and the watermark before even that:
    # where Spark collects event times it forgets how rows are distributed, and would shuffle them once more.
    parsed = _timed(parse(records)).repartition(partitions, "_id")
    arrived = arrivals(with_product(parsed, products), users)
    changed = figures(_cells(parsed, products))
    # In this order: where Spark reuses the shuffle, in the second half, it does not see the watermark below it.
    return changed.unionByName(arrived, allowMissingColumns=True)


def fetch(batch: DataFrame) -> Batch:
    """Compute a micro-batch of `outputs` and bring it to the driver, in one Spark job."""
    table = batch.toArrow()
    is_cell = pc.is_valid(table.column("kind"))
    return Batch(*split(table.filter(pc.invert(is_cell))), table.filter(is_cell))


def split(arrived: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split fetched rows of `records.arrivals` into the valid events and the records that break a rule."""
    refused = pc.greater(pc.list_value_length(arrived.column("reasons")), 0)
    return arrived.filter(pc.invert(refused)), arrived.filter(refused)


def state_layout(records: DataFrame, products: DataFrame, partitions: int, topic: str) -> dict[str, str]:
    """Return what the state in a checkpoint depends on: state written under another layout cannot be read.

    Args:
        records: Kafka records.
        products: The product catalogue.
        partitions: Number of state partitions.
        topic: The topic whose offsets the checkpoint holds.
    """
    return {
        "topic": topic,
        "state partitions": str(partitions),
        "lateness": LATENESS,
        "sketch size": str(SKETCH_LG_BUCKETS),
        "cells": _cells(_timed(parse(records)), products).schema.simpleString(),
    }


def is_valid() -> Column:
    """Return the condition that a parsed record breaks no rule."""
    return F.size("reasons") == 0


def _timed(parsed: DataFrame) -> DataFrame:
    """Let valid events, and only these, move the watermark: whatever a refused record says, it has no event time."""
    moment = F.when(is_valid(), F.col("event_timestamp"))
    return parsed.withColumn("event_timestamp", moment).withWatermark("event_timestamp", LATENESS)


def _cells(parsed: DataFrame, products: DataFrame) -> DataFrame:
    valid = parsed.filter(is_valid()).select(*_EVENT_COLUMNS)
    return cells(with_product(distinct_events(valid), products))
