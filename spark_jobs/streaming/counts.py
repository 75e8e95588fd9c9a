"""How many records a micro-batch brought, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.streaming.outputs import is_valid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class BatchCounts:
    """The figures of one micro-batch.

    Attributes:
        accepted: Valid records.
        dead_lettered: All others.
        late: Accepted records behind the watermark, which no window or visit counts.
        newest_record: The newest Kafka timestamp among all records.
        end_offsets: The offset after the last record, by partition.
        sample: `_id`s of a few accepted records.
    """

    accepted: int
    dead_lettered: int
    late: int
    newest_record: datetime
    end_offsets: Mapping[int, int]
    sample: list[str]


def count(records: DataFrame, late_until: datetime | None) -> BatchCounts:
    """Count parsed records.

    Args:
        records: `parse.parse`'s columns; `reasons`, `event_timestamp`, `kafka_timestamp`, `kafka_partition` and
            `kafka_offset` are used.
        late_until: The watermark that decides which events are late; None where none are.
    """
    # As a literal it would make Spark generate and compile the code anew in every batch.
    bounds = records.sparkSession.createDataFrame([(late_until,)], "late_until TIMESTAMP")
    valid = is_valid()
    late = valid & (F.col("event_timestamp") <= F.col("late_until"))
    rows = (
        records.crossJoin(F.broadcast(bounds))
        .groupBy("kafka_partition")
        .agg(
            F.count_if(valid).alias("accepted"),
            F.count_if(~valid).alias("dead_lettered"),
            F.count_if(F.coalesce(late, F.lit(False))).alias("late"),
            F.unix_millis(F.max("kafka_timestamp")).alias("newest"),
            F.max("kafka_offset").alias("last_offset"),
            F.min(F.when(valid, F.col("_id"))).alias("least"),
            F.max(F.when(valid, F.col("_id"))).alias("greatest"),
        )
        .collect()
    )
    return BatchCounts(
        accepted=sum(row["accepted"] for row in rows),
        dead_lettered=sum(row["dead_lettered"] for row in rows),
        late=sum(row["late"] for row in rows),
        newest_record=max((datetime.fromtimestamp(row["newest"] / 1000, UTC) for row in rows), default=_EPOCH),
        end_offsets={row["kafka_partition"]: row["last_offset"] + 1 for row in rows},
        sample=[row[name] for row in rows for name in ("least", "greatest") if row[name]],
    )
