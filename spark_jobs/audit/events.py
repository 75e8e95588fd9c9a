"""What the recomputation needs of an enriched event, and its arithmetic of instants.

An instant is a whole number of milliseconds since 1970-01-01 UTC, the precision of a BSON date: windows then are
integer arithmetic, and nothing depends on a time zone or on how a driver hands out dates.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

MINUTE = 60_000
HOUR = 60 * MINUTE

Document = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_REQUIRED = (
    "_id", "event_timestamp", "event_type", "product_id", "category_name", "brand", "price", "user_id", "user_session"
)  # fmt: skip

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


class Event(NamedTuple):
    """One enriched event; `at` in milliseconds since the epoch."""

    at: int
    event_type: str
    product_id: int
    category_name: str
    brand: str
    price: float
    user_id: int
    user_session: str


def read_events(documents: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Read `enriched_events` documents as pymongo returns them.

    Raises:
        ValueError: a document lacks a field that the contract promises, or two documents share an `_id` (no collection
            can hold those, so the caller mixed two sources).
    """
    events = []
    ids = set()
    for document in documents:
        for field in _REQUIRED:
            if document.get(field) is None:
                raise ValueError(f"enriched event {document.get('_id')!r} has no {field}")
        ids.add(document["_id"])
        events.append(
            Event(
                at=to_milliseconds(document["event_timestamp"]),
                event_type=document["event_type"],
                product_id=document["product_id"],
                category_name=document["category_name"],
                brand=document["brand"],
                price=float(document["price"]),
                user_id=document["user_id"],
                user_session=document["user_session"],
            )
        )
    if len(ids) < len(events):
        raise ValueError(f"{len(events)} enriched events have only {len(ids)} distinct _ids")
    return events


def as_utc(value: datetime) -> datetime:
    """Return the same instant with the zone UTC; a datetime without zone is UTC already (pymongo's default)."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def to_milliseconds(value: datetime) -> int:
    """Milliseconds since the epoch, rounded down as a BSON date is."""
    return (as_utc(value) - _EPOCH) // _MILLISECOND


def to_datetime(milliseconds: int) -> datetime:
    """The instant as a datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_iso(milliseconds: int) -> str:
    """The instant as ids spell it: `2019-10-01T00:00:00Z`, or `2019-10-01T00:00:00.123Z` if not a whole second."""
    timespec = "milliseconds" if milliseconds % 1000 else "seconds"
    return to_datetime(milliseconds).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def window_starts(at: int, length: int, slide: int) -> range:
    """Starts of all windows [start, start + length) that contain `at`, latest first; starts are multiples of `slide`.

    All in milliseconds. A tumbling window is one whose slide is its length.
    """
    return range(at - at % slide, at - length, -slide)


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Lists of the items that share a key, in their order of arrival."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
