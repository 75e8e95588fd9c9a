"""Cells -> the documents of `event_aggregations`.

The cells of a micro-batch are few compared with its events, so the driver shapes and writes them itself, while Spark's
tasks write the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.cells import BRAND_10M, CATEGORY_1H, CATEGORY_5M, VISIT_PART
from spark_jobs.streaming.times import microseconds, moments

Document = dict[str, Any]

# Field of the document -> column of a fetched cell, by kind. The first `_KEYS` fields are what the `_id` ends with.
FIELDS: Mapping[str, Mapping[str, str]] = {
    CATEGORY_5M: {
        "category_name": "name",
        "event_type": "detail",
        "event_count": "event_count",
        "unique_users": "unique_users",
        "unique_sessions": "unique_sessions",
        "avg_price": "avg_price",
        "total_revenue": "price_sum",
        "min_price": "price_min",
        "max_price": "price_max",
        "price_stddev": "price_stddev",
    },
    BRAND_10M: {
        "brand": "name",
        "event_count": "event_count",
        "unique_users": "unique_users",
        "avg_price": "avg_price",
    },
    CATEGORY_1H: {
        "category_name": "name",
        "view_count": "view_count",
        "cart_count": "cart_count",
        "purchase_count": "purchase_count",
        "view_revenue": "view_value",
        "cart_revenue": "cart_value",
        "purchase_revenue": "purchase_value",
    },
}
_KEYS = {CATEGORY_5M: 2, BRAND_10M: 1, CATEGORY_1H: 1}


def figures(cells: DataFrame) -> DataFrame:
    """Reduce the changed cells to what the driver needs of them.

    Args:
        cells: Columns of `cells.cells`.

    Returns:
        One row per cell: the key, the sums, `unique_users` and `unique_sessions` instead of the sketches, `avg_price`,
        `items` of visit parts. Times are microseconds since the epoch, which take a fraction of the time to convert.
    """
    return cells.select(
        "kind",
        "name",
        "detail",
        *(microseconds(name) for name in ("window_start", "window_end", "first_event", "last_event", "first_arrival")),
        "event_count",
        F.hll_sketch_estimate("users").alias("unique_users"),
        F.hll_sketch_estimate("sessions").alias("unique_sessions"),
        (F.col("price_sum") / F.col("event_count")).alias("avg_price"),
        "price_sum",
        "price_min",
        "price_max",
        "price_stddev",
        "view_count",
        "cart_count",
        "remove_from_cart_count",
        "purchase_count",
        "view_value",
        "cart_value",
        "purchase_value",
        F.when(F.col("kind") == VISIT_PART, F.col("items")).alias("items"),
    )


def documents(kind: str, cells: pa.Table, generation: str) -> Iterator[Document]:
    """Build the documents of one kind.

    Args:
        kind: A key of `FIELDS`.
        cells: Rows of `figures` of that kind.
        generation: Name of the checkpoint, written into every document.
    """
    fields, keys = FIELDS[kind], _KEYS[kind]
    columns = [cells.column(column).to_pylist() for column in fields.values()]
    starts, ends = (moments(cells.column(name)) for name in ("window_start", "window_end"))
    for start, end, *values in zip(starts, ends, *columns, strict=True):
        yield {
            "_id": "|".join((kind, _iso(start), *values[:keys])),
            "kind": kind,
            "window_start": start,
            "window_end": end,
            **dict(zip(fields, values, strict=True)),
            "generation": generation,
        }


@lru_cache(maxsize=10_000)
def _iso(start: datetime) -> str:
    return f"{start:%Y-%m-%dT%H:%M:%SZ}"
