"""How many records a micro-batch brought, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.streaming.times import EPOCH, moment, since_epoch


@dataclass(frozen=True)
class BatchCounts:
    """The figures of one micro-batch.

    Attributes:
        accepted: Valid records.
        dead_lettered: All others.
        late: Accepted records behind the watermark, which no window or visit counts.
        newest_record: The newest Kafka timestamp among all records.
        end_offsets: The offset after the last record, by partition.
    """

    accepted: int
    dead_lettered: int
    late: int
    newest_record: datetime
    end_offsets: Mapping[int, int]


def count(valid: pa.Table, refused: pa.Table, late_until: datetime | None) -> BatchCounts:
    """Count the records of a micro-batch.

    Args:
        valid: Rows of `records.arrivals` that break no rule.
        refused: The others.
        late_until: The watermark that decides which events are late; None where none are.
    """
    columns = ["kafka_partition", "kafka_offset", "kafka_timestamp"]
    everything = pa.concat_tables([valid.select(columns), refused.select(columns)])
    newest = pc.max(everything.column("kafka_timestamp")).as_py()
    last = everything.group_by("kafka_partition").aggregate([("kafka_offset", "max")]).to_pydict()
    late = 0
    if late_until is not None:
        late = pc.sum(pc.less_equal(valid.column("event_timestamp"), since_epoch(late_until))).as_py() or 0
    return BatchCounts(
        accepted=valid.num_rows,
        dead_lettered=refused.num_rows,
        late=late,
        newest_record=EPOCH if newest is None else moment(newest),
        end_offsets={
            number: offset + 1 for number, offset in zip(last["kafka_partition"], last["kafka_offset_max"], strict=True)
        },
    )
