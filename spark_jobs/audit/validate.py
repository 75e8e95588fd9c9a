"""Is a record of the topic `customer_events` valid, and how are its fields read?

Types are those of JSON. Integers and prices may also come as decimal text, as they do in the CSV files; text may not
come as a number. Spaces around numbers in text and around times are ignored, elsewhere they are part of the text. The
parsers raise ValueError for whatever they cannot read.
"""

import json
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
EARLIEST = datetime(
    1970, 1, 1, tzinfo=UTC
)  # exclusive: it stands for "no time", and no stream's clock begins before it
LONGEST_NUMBER = 1000  # characters; RFC 8259 lets a reader set such limits
LARGEST_OFFSET = timedelta(hours=18)

# "2019-10-01 00:00:00 UTC", or the extended form of ISO 8601: to the minute, the second or up to nine decimals of it,
# and a zone (without one, UTC).
_EVENT_TIME = re.compile(
    r" *([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r"(?: ?(?:UTC|Z|([+-])([0-9]{2})(?::?([0-5][0-9]))?))? *"
)
_DIGITS = re.compile(r" *(\+?[0-9]{1,19}) *")
_DECIMAL = re.compile(r" *([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) *")

Parsed = TypeVar("Parsed")
Number = TypeVar("Number", int, float)


def read_record(value: bytes | None) -> object:
    """Return the JSON value that a Kafka record holds; None (never valid) where it holds none.

    JSON is meant as RFC 8259 defines it: one value in UTF-8 without byte order mark, and neither NaN nor Infinity. Of a
    name that is repeated within an object, the last value counts. Numbers longer than `LONGEST_NUMBER` and arrays or
    objects nested some hundred times are refused.
    """
    try:
        text = (value or b"").decode()
        parsed: object = json.loads(
            text, parse_int=_bounded(int), parse_float=_bounded(float), parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None
    return parsed


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
    """Read `2019-10-01 00:00:00 UTC` or ISO 8601 as a datetime in UTC, cut to milliseconds as it will be stored.

    What lies beyond the year 9999 in UTC becomes the last moment of that year.
    """
    match = _EVENT_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not an event time: {value!r}")
    date, time, sign, hours, minutes = match.groups()
    local = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=UTC)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset > LARGEST_OFFSET:
        raise ValueError(f"no place on earth is so far from UTC: {value!r}")
    try:
        parsed = local + offset if sign == "-" else local - offset
    except OverflowError:
        parsed = datetime.max.replace(tzinfo=UTC) if sign == "-" else datetime.min.replace(tzinfo=UTC)
    parsed = parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)
    if parsed <= EARLIEST:
        raise ValueError(f"before there were events: {value!r}")
    return parsed


def parse_id(value: object) -> int:
    """Read a positive 64-bit integer from an integer or its decimal text."""
    if isinstance(value, str) and (match := _DIGITS.fullmatch(value)):
        value = int(match[1])
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_ID:
        return value
    raise ValueError(f"not a positive 64-bit integer: {value!r}")


def parse_price(value: object) -> float:
    """Read a finite number of at least 0 from a number or its decimal text."""
    if isinstance(value, str) and (match := _DECIMAL.fullmatch(value)):
        value = float(match[1])
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


def _bounded(convert: Callable[[str], Number]) -> Callable[[str], Number]:
    """Return `convert`, refusing numbers that are too long to be read."""

    def bounded(text: str) -> Number:
        if len(text) > LONGEST_NUMBER:
            raise ValueError(f"a number of {len(text)} characters")
        return convert(text)

    return bounded


def _refuse_constant(name: str) -> object:
    """Refuse NaN, Infinity and -Infinity, which Python reads and JSON does not know."""
    raise ValueError(f"{name} is no JSON")
