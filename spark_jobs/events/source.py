"""Event files of the public "eCommerce behavior data" schema: CSV, gzipped CSV or Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.errors import JobError

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)

Row = Sequence[str | None]

_BROKEN = (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException)


def rows(path: Path) -> Iterator[Row]:
    """Read an events file row by row, in constant memory.

    Args:
        path: `.csv`, `.csv.gz` or `.parquet`.

    Yields:
        The values of a row in the order of `COLUMNS`, empty text for null. A CSV row with too few or too many fields
        comes as it stands: its length is not that of `COLUMNS`.

    Raises:
        JobError: The file cannot be read, lacks columns, or breaks off; the message says where.
    """
    number = 0
    try:
        reader = _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)
        for number, row in enumerate(reader, start=1):  # noqa: B007
            yield row
    except _BROKEN as error:
        where = f"breaks off after row {number}" if number else "cannot be read"
        raise JobError(f"{path} {where}: {error} (expected a .csv, .csv.gz or .parquet file)") from None


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(16 * 1024 * 1024)
    with _open_text(path) as text:
        reader = csv.reader(text)
        # Excel begins a file with a byte order mark.
        header = [name.lstrip("\ufeff").strip() for name in next(reader, [])]
        _require_columns(path, header)
        if tuple(header) == COLUMNS:
            yield from reader
            return
        order = [header.index(name) for name in COLUMNS]
        for row in reader:
            yield [row[index] for index in order] if len(row) == len(header) else list(row)


def _open_text(path: Path) -> io.TextIOBase:
    # Bytes that are no UTF-8 become U+FFFD: the record stays one, and what it breaks is found by the stream's rules.
    binary = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 - the caller closes it
    return io.TextIOWrapper(binary, encoding="utf-8", errors="replace", newline="")


def _parquet_rows(path: Path) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        _require_columns(path, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=10_000, columns=list(COLUMNS)):
            columns = [_as_text(batch.column(name)) for name in COLUMNS]
            yield from map(list, zip(*columns, strict=True))


def _as_text(column: pa.Array) -> list[str]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"))
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _require_columns(path: Path, header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise JobError(f"{path} lacks the columns {', '.join(missing)} (expected a header {','.join(COLUMNS)})")


def event_time(row: Row) -> datetime | None:
    """Return the row's `event_time` in UTC, or None where it has none that can be read."""
    text = row[0] if len(row) == len(COLUMNS) else None
    try:
        moment = datetime.fromisoformat((text or "").replace(" UTC", "+00:00"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        # Overflow: the first or the last day of the calendar, in another time zone.
        return None


def latest_valid() -> datetime:
    """Return the latest `event_time` that is valid now; events after it are dead-lettered."""
    return datetime.now(UTC) + timedelta(days=1)


def newest_event(path: Path, limit: int) -> datetime | None:
    """Return the newest readable `event_time` among the first `limit` rows (0: all of them)."""
    newest: datetime | None = None
    horizon = latest_valid()
    for number, row in enumerate(rows(path), start=1):
        moment = event_time(row)
        # A malformed time in the far future will be dead-lettered; it must not decide the shift of all others.
        if moment and moment <= horizon and (newest is None or moment > newest):
            newest = moment
        if number == limit:
            break
    return newest
