"""Is a record of the topic `customer_events` valid, and how are its fields read?

Types are those of JSON. Integers and prices may also come as decimal text, as they do in the CSV files; text may not
come as a number. The parsers raise ValueError for whatever they cannot read.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from spark_jobs.audit.events import as_utc

EVENT_TYPES = ("view", "cart", "remove_from_cart", "purchase")
LARGEST_ID = 2**63 - 1
LONGEST_SESSION = 128
FUTURE_ALLOWANCE = timedelta(days=1)

# "2019-10-01 00:00:00 UTC", or the extended form of ISO 8601: seconds, up to nine decimals, a zone (without one, UTC).
_EVENT_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
    r"( UTC|Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_DIGITS = re.compile(r"[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Parsed = TypeVar("Parsed")


def validate(record: object, *, ingested_at: datetime | None = None) -> list[str]:
    """Return every reason why a record of the topic is invalid; an empty list for a valid one.

    Args:
        record: the parsed JSON value, or a row of a CSV file; anything but a mapping is invalid.
        ingested_at: when the record was ingested, the clock that event times may be ahead of by a day; now by default.

    Returns:
        Reason codes in this order: `not_json_object` (then the only one), `bad_event_time`, `future_event_time`,
        `bad_event_type`, `bad_product_id`, `bad_user_id`, `bad_user_session`, `bad_price`.
    """
    if not isinstance(record, Mapping):
        return ["not_json_object"]
    latest = as_utc(ingested_at or datetime.now(UTC)) + FUTURE_ALLOWANCE
    event_time = _attempt(parse_event_time, record.get("event_time"))
    user_session = record.get("user_session")
    applies = {
        "bad_event_time": event_time is None,
        "future_event_time": event_time is not None and event_time > latest,
        "bad_event_type": record.get("event_type") not in EVENT_TYPES,
        "bad_product_id": _attempt(parse_id, record.get("product_id")) is None,
        "bad_user_id": _attempt(parse_id, record.get("user_id")) is None,
        "bad_user_session": not isinstance(user_session, str) or not 1 <= len(user_session) <= LONGEST_SESSION,
        "bad_price": _attempt(parse_price, record.get("price")) is None,
    }
    return [reason for reason, applied in applies.items() if applied]


def parse_event_time(value: object) -> datetime:
    """Read `2019-10-01 00:00:00 UTC` or ISO 8601 as a datetime in UTC, cut to milliseconds as it will be stored."""
    match = _EVENT_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not an event time: {value!r}")
    date, time, zone = match.groups()
    try:
        parsed = as_utc(datetime.fromisoformat(f"{date}T{time}{'Z' if zone in (None, ' UTC') else zone}"))
    except OverflowError as error:
        raise ValueError(f"out of the calendar's range: {value!r}") from error
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)


def parse_id(value: object) -> int:
    """Read a positive 64-bit integer from an integer or its decimal text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_ID:
        return value
    raise ValueError(f"not a positive 64-bit integer: {value!r}")


def parse_price(value: object) -> float:
    """Read a finite number of at least 0 from a number or its decimal text."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            price = float(value)
        except OverflowError:  # an integer beyond the largest double
            price = math.inf
        if 0 <= price < math.inf:
            return price
    raise ValueError(f"not a price: {value!r}")


def _attempt(parse: Callable[[object], Parsed], value: object) -> Parsed | None:
    """The parsed value, or None where there is none."""
    try:
        return parse(value)
    except ValueError:
        return None
