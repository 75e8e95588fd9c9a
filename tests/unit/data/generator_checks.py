"""What the tests of the generator share: reading files, and the event contract of docs as plain code."""

import csv
import gzip
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

COLUMNS = [
    *("event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price"),
    *("user_id", "user_session"),
]
EVENT_TYPES = {"view", "cart", "purchase", "remove_from_cart"}


class Event(NamedTuple):
    """A well-formed row, typed."""

    time: datetime
    kind: str
    product: int
    category: int
    code: str
    brand: str
    price: float
    user: int
    session: str


def read_lines(path: Path) -> list[str]:
    """All lines of a CSV(.gz) file without line ends, the header included."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    assert text.endswith("\n")
    return text[:-1].split("\n")


def parse(lines: Iterable[str]) -> list[Event]:
    """Well-formed lines (without the header) as events."""
    return [
        Event(parse_time(t), kind, int(product), int(category), code, brand, float(price), int(user), session)
        for t, kind, product, category, code, brand, price, user, session in csv.reader(lines)
    ]


def parse_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)


def faults(line: str) -> list[str]:
    """Every reason why the event contract refuses a line; empty for a valid event."""
    fields = next(csv.reader([line]), [])
    row: dict[str, str] = dict(zip(COLUMNS, fields, strict=False))
    found = []
    try:
        if parse_time(row.get("event_time", "")) > datetime.now(UTC) + timedelta(days=1):
            found.append("event_time")
    except ValueError:
        found.append("event_time")
    if row.get("event_type") not in EVENT_TYPES:
        found.append("event_type")
    for column in ("product_id", "user_id"):
        text = row.get(column, "")
        if not re.fullmatch(r"[0-9]+", text) or not 0 < int(text) < 2**63:
            found.append(column)
    try:
        price = float(row.get("price", ""))
        if not math.isfinite(price) or price < 0:
            found.append("price")
    except ValueError:
        found.append("price")
    if not 0 < len(row.get("user_session", "")) <= 128:
        found.append("user_session")
    return found
