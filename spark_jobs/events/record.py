"""Row of an events file -> Kafka record of the topic `customer_events`."""

from __future__ import annotations

import hashlib
import math
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path

import orjson

from spark_jobs.errors import JobError
from spark_jobs.events.source import COLUMNS, Row, event_time, rows

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "shopstream/customer_events")

# A UUID's first digit of its fourth group: the upper two bits are fixed.
_VARIANT = {f"{digit:x}": f"{digit & 0x3 | 0x8:x}" for digit in range(16)}

# Key and value.
Record = tuple[bytes, bytes]

# In bytes, both together: producer and broker take a request of 1 MiB unless told otherwise, with what goes around it.
LARGEST = 1_000_000


def event_id(source: str, number: int) -> str:
    """Return the UUIDv5 of an event: the same row of the same source always has the same one."""
    # uuid.uuid5 spends most of its time on building UUID objects; this is its definition (RFC 9562, section 5.5).
    text = hashlib.sha1(NAMESPACE.bytes + f"{source}:{number}".encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def source_name(path: Path) -> str:
    """Return the name that the event ids of a file derive from: its own name, and a checksum of its first row.

    Two files that happen to have one name stay two sources; a file that grows at its end stays one.
    """
    first = ",".join(value or "" for value in next(rows(path), []))
    return f"{path.name}:{zlib.crc32(first.encode()):08x}"


def encoder(source: str, shift: timedelta = timedelta(0)) -> Callable[[int, Row], Record]:
    """Return a function (row number, row) -> (key, value).

    Args:
        source: Name the event ids derive from.
        shift: Added to every readable `event_time`.
    """
    name = f"{source}+{shift.total_seconds():.0f}s" if shift else source

    def encode(number: int, row: Row) -> Record:
        if len(row) != len(COLUMNS):
            # Not a row of the schema: the stream keeps the text as a dead letter.
            return b"", ",".join(value or "" for value in row).encode()
        time, kind, product, category, category_code, brand, price, user, session = row
        if shift and (moment := event_time(row)):
            # A time that cannot be shifted within the calendar breaks a rule as it is.
            with suppress(OverflowError):
                time = f"{(moment + shift).isoformat(' ', 'seconds')[:19]} UTC"
        fields = {
            "event_id": event_id(name, number),
            "event_time": time,
            "event_type": kind,
            "product_id": _whole_number(product),
            "category_id": _whole_number(category),
            "category_code": category_code or None,
            "brand": brand or None,
            "price": _decimal(price),
            "user_id": _whole_number(user),
            "user_session": session,
        }
        return (session or "").encode(), orjson.dumps(fields)

    return encode


def encoded(path: Path, source: str, shift: timedelta, skip: int, limit: int | None) -> Iterator[tuple[int, Record]]:
    """Read a part of an events file as records.

    Args:
        path: The events file.
        source: Name the event ids derive from.
        shift: Added to every readable `event_time`.
        skip: Rows to leave out at the beginning.
        limit: Number of the last row; None reads all.

    Yields:
        Row numbers, from 1, and records.

    Raises:
        JobError: The file breaks off, or a row is too large; what was read before has been yielded.
    """
    encode = encoder(source, shift)
    for number, row in islice(enumerate(rows(path), start=1), skip, limit):
        record = encode(number, row)
        if size(record) > LARGEST:
            raise JobError(
                f"row {number} of {path} is a record of {size(record):,} bytes, and Kafka takes {LARGEST:,} (is a "
                "quotation mark not closed? the rows before it are sent)"
            )
        yield number, record


def size(record: Record) -> int:
    """Return the bytes of a record, key and value."""
    return len(record[0]) + len(record[1])


def _whole_number(text: str | None) -> int | str | None:
    """Return the number; text that is none goes on as it is, for the stream to refuse with its reason."""
    if text and text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    return text or None


def _decimal(text: str | None) -> float | str | None:
    try:
        value = float(text or "")
    except ValueError:
        return text or None
    return value if math.isfinite(value) else text
