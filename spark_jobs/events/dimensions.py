"""Product catalogue and user dimension, derived from the events or from the shop's own files.

What click events lack (names, countries, ages) is synthesised from the id alone, so it is the same in every run, and
listed in the document's `synthetic` field.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from spark_jobs.errors import JobError
from spark_jobs.events.source import COLUMNS, Row, event_time, latest_valid

Document = dict[str, Any]

_PLACES = (
    ("DE", "Berlin"),
    ("DE", "Hamburg"),
    ("FR", "Paris"),
    ("FR", "Lyon"),
    ("GB", "London"),
    ("IT", "Milan"),
    ("ES", "Madrid"),
    ("PL", "Warsaw"),
    ("NL", "Amsterdam"),
    ("US", "New York"),
    ("US", "Chicago"),
    ("SE", "Stockholm"),
)
_AGE_GROUPS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_GENDERS = ("female", "male", "undisclosed")


@dataclass
class Derived:
    """Dimensions as far as the events tell them.

    Attributes:
        products: Newest known facts by product id: `category_id`, `category_code`, `brand`, `price`.
        users: First and last event and number of events by user id.
    """

    products: dict[int, Document] = field(default_factory=dict)
    users: dict[int, Document] = field(default_factory=dict)
    rows: int = 0


def derive(rows: Iterable[Row], progress: Callable[[int], None] = lambda _rows: None) -> Derived:
    """Read the dimensions out of events; memory grows with products and users, not with events.

    Args:
        rows: Rows of an events file. Malformed ones are passed over: the stream dead-letters them.
        progress: Called with the number of rows now and then.
    """
    derived = Derived()
    horizon = latest_valid()
    for row in rows:
        derived.rows += 1
        if derived.rows % 500_000 == 0:
            progress(derived.rows)
        moment = event_time(row)
        if moment is None or moment > horizon:
            continue
        event = dict(zip(COLUMNS, row, strict=True))
        _note_product(derived.products, event)
        _note_user(derived.users, event, moment)
    return derived


def _note_product(products: dict[int, Document], event: dict[str, str | None]) -> None:
    product_id = _positive(event["product_id"])
    if product_id is None:
        return
    known = products.setdefault(product_id, {"category_id": None, "category_code": None, "brand": None, "price": None})
    known["category_id"] = _positive(event["category_id"]) or known["category_id"]
    for name in ("category_code", "brand"):
        known[name] = event[name] or known[name]
    price = _price(event["price"])
    known["price"] = known["price"] if price is None else price


def _note_user(users: dict[int, Document], event: dict[str, str | None], moment: datetime) -> None:
    user_id = _positive(event["user_id"])
    if user_id is None:
        return
    known = users.setdefault(user_id, {"first_event": moment, "last_event": moment})
    known["first_event"] = min(known["first_event"], moment)
    known["last_event"] = max(known["last_event"], moment)


def _positive(text: str | None) -> int | None:
    if text and text.isascii() and text.isdecimal() and 0 < int(text) < 2**63:
        return int(text)
    return None


def product(product_id: int, facts: Document) -> Document:
    """Build a document of `products`; `category_name` is null where the events give none."""
    code = facts["category_code"]
    segments = code.split(".") if code else []
    label = segments[-1].replace("_", " ") if segments else "product"
    return {
        "_id": product_id,
        "product_id": product_id,
        "product_name": f"{(facts['brand'] or 'unbranded').title()} {label.title()} {product_id % 10_000:04d}",
        "category_id": facts["category_id"],
        "category_code": code,
        "category_name": segments[0] if segments else None,
        "subcategory": segments[1] if len(segments) > 1 else None,
        "brand": facts["brand"],
        "price": facts["price"],
        "synthetic": ["product_name"],
    }


def _price(text: str | None) -> float | None:
    try:
        price = float(text or "")
    except ValueError:
        return None
    return price if math.isfinite(price) and price >= 0 else None


def user(user_id: int, facts: Document) -> Document:
    """Build a document of `users`; place, age group and gender are synthesised."""
    dice = hashlib.sha256(f"shopstream/user/{user_id}".encode()).digest()
    country, city = _PLACES[dice[0] % len(_PLACES)]
    return {
        "_id": user_id,
        "user_id": user_id,
        "country": country,
        "city": city,
        "age_group": _AGE_GROUPS[dice[1] % len(_AGE_GROUPS)],
        "gender": _GENDERS[dice[2] % len(_GENDERS)],
        "user_segment": None,
        "first_event": facts.get("first_event"),
        "last_event": facts.get("last_event"),
        "synthetic": ["country", "city", "age_group", "gender"],
    }


def overlay(documents: dict[int, Document], path: Path, key: str, build: Callable[[int], Document]) -> int:
    """Lay the shop's own CSV over derived documents: its columns win and are no longer synthetic.

    Args:
        documents: Documents by id; changed in place, unknown ids are added.
        path: CSV with a header; the column `key` and any columns of the collection.
        key: `product_id` or `user_id`.
        build: Makes the document of an id the events do not know.

    Returns:
        How many rows were used.

    Raises:
        JobError: The file cannot be read, lacks the key column, or a key is no positive whole number.
    """
    used = 0
    for number, row in enumerate(_own_rows(path, key), start=2):
        identity = _positive(row.pop(key))
        if identity is None:
            raise JobError(f"{path}, line {number}: {key} is not a positive whole number")
        document = documents.setdefault(identity, build(identity))
        given = {name: value for name, value in row.items() if name and value}
        if "price" in given:
            given["price"] = _price(given["price"])
        document.update(given)
        document["synthetic"] = [name for name in document["synthetic"] if name not in given]
        used += 1
    return used


def _own_rows(path: Path, key: str) -> Iterator[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            if key not in (reader.fieldnames or []):
                raise JobError(f"{path} lacks the column {key}")
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JobError(f"{path} cannot be read as CSV: {error}") from None
