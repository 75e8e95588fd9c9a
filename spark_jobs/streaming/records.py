"""The records of a micro-batch, on the driver: what became of each, as documents.

A micro-batch leaves Spark in one piece, as an Arrow table. Its documents are built and sent from here, because every
further Spark job on it would cost more than the few seconds that a batch may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.enrich import DOCUMENT_FIELDS, enriched
from spark_jobs.streaming.times import microseconds, moments

Document = dict[str, Any]

_DEAD_LETTER_FIELDS = ("raw", "reasons", "kafka_partition", "kafka_offset")
_KEPT = ("record_id", "kafka_timestamp", "reasons", "raw")


def arrivals(records: DataFrame, users: DataFrame) -> DataFrame:
    """Give every record what its document is made of, a valid event's or a dead letter's.

    Args:
        records: Parsed records with product fields (see `enrich.with_product`).
        users: Columns of `enrich.USER_SCHEMA`, one row per user.

    Returns:
        One row per record: `enrich.DOCUMENT_FIELDS`, `record_id`, `kafka_timestamp`, `reasons`, `raw` (as valid UTF-8).
        Times are microseconds since the epoch.
    """
    return enriched(records, users, keep=_KEPT).withColumns(
        {
            "event_timestamp": microseconds("event_timestamp"),
            "kafka_timestamp": microseconds("kafka_timestamp"),
            "raw": F.make_valid_utf8("raw"),
        }
    )


def events(arrived: pa.Table, now: datetime) -> Iterator[Document]:
    """Build the documents of `enriched_events`.

    Args:
        arrived: Rows of `arrivals` without `reasons`.
        now: Their `processing_timestamp`.
    """
    columns = {name: arrived.column(name) for name in DOCUMENT_FIELDS}
    values = [moments(one) if name == "event_timestamp" else one.to_pylist() for name, one in columns.items()]
    for row in zip(*values, strict=True):
        document = dict(zip(DOCUMENT_FIELDS, row, strict=True))
        document["processing_timestamp"] = now
        yield document


def dead_letters(arrived: pa.Table, now: datetime) -> Iterator[Document]:
    """Build the documents of `dead_letter_events`.

    Args:
        arrived: Rows of `arrivals` with `reasons`.
        now: Their `processing_timestamp`.
    """
    columns = [arrived.column(name).to_pylist() for name in _DEAD_LETTER_FIELDS]
    ids, times = arrived.column("record_id").to_pylist(), moments(arrived.column("kafka_timestamp"))
    for record_id, received, *values in zip(ids, times, *columns, strict=True):
        yield {
            "_id": record_id,
            **dict(zip(_DEAD_LETTER_FIELDS, values, strict=True)),
            "kafka_timestamp": received,
            "processing_timestamp": now,
        }
