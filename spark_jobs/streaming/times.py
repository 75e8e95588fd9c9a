"""Times on their way from Spark to the driver: microseconds since the epoch, which convert quicker than timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(name: str) -> Column:
    """Return a timestamp column as microseconds since the epoch, under its own name."""
    return F.unix_micros(name).alias(name)


def moment(since_epoch: int) -> datetime:
    """Return the moment so many microseconds after the epoch, in UTC."""
    return EPOCH + timedelta(microseconds=since_epoch)


def moments(column: pa.ChunkedArray) -> list[datetime]:
    """Return the moments of a column of microseconds; each distinct one is converted once."""
    values = column.to_pylist()
    known = {value: moment(value) for value in set(values)}
    return [known[value] for value in values]


def since_epoch(at: datetime) -> int:
    """Return the microseconds from the epoch to a moment."""
    return (at - EPOCH) // timedelta(microseconds=1)
