"""Batch recomputation of the three streaming collections from `enriched_events`.

Conventions where the data contracts leave a choice: windows are [start, end) with starts at multiples of the slide
since 1970-01-01 UTC; instants in ids are ISO 8601 (see `events.to_iso`); a figure over the events of a group counts
every event of it, whatever its type, unless its name says otherwise.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spark_jobs.audit.events import (
    HOUR,
    MINUTE,
    Document,
    Event,
    group_by,
    read_events,
    to_datetime,
    to_iso,
    window_starts,
)
from spark_jobs.audit.figures import mean, sample_stddev, total
from spark_jobs.audit.visits import conversion_funnel, session_analytics, split_visits

CATEGORY_5M = 5 * MINUTE
BRAND_10M = 10 * MINUTE
BRAND_10M_SLIDE = 5 * MINUTE
CATEGORY_1H = HOUR


def recompute(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Document]]:
    """Recompute every streaming collection from all events at once, in any order.

    Late events are not known as such here: leave out those the stream was allowed to drop before calling.

    Args:
        events: `enriched_events` documents as pymongo returns them; `event_timestamp` without zone is UTC.

    Returns:
        For each of `event_aggregations`, `user_session_analytics` and `conversion_funnel` its documents by `_id`; dates
        are datetimes in UTC, unique counts exact.

    Raises:
        ValueError: a document lacks a promised field, or two share an `_id`.
    """
    read = read_events(events)
    sessions = session_analytics(split_visits(read))
    return {
        "event_aggregations": event_aggregations(read),
        "user_session_analytics": sessions,
        "conversion_funnel": conversion_funnel(sessions.values()),
    }


def event_aggregations(events: list[Event]) -> dict[str, Document]:
    """Documents of the kinds `category_5m`, `brand_10m` and `category_1h`, by `_id`."""
    documents = (*_category_5m(events), *_brand_10m(events), *_category_1h(events))
    return {document["_id"]: document for document in documents}


def _category_5m(events: list[Event]) -> Iterator[Document]:
    """Tumbling 5 minutes by category and event type."""
    groups = group_by(events, lambda event: (_tumbling(event, CATEGORY_5M), event.category_name, event.event_type))
    for (start, category, event_type), group in groups.items():
        prices = [event.price for event in group]
        yield {
            "_id": f"category_5m|{to_iso(start)}|{category}|{event_type}",
            "kind": "category_5m",
            "window_start": to_datetime(start),
            "window_end": to_datetime(start + CATEGORY_5M),
            "category_name": category,
            "event_type": event_type,
            "event_count": len(group),
            "unique_users": len({event.user_id for event in group}),
            "unique_sessions": len({event.user_session for event in group}),
            "avg_price": mean(prices),
            "total_revenue": total(prices),
            "min_price": min(prices),
            "max_price": max(prices),
            "price_stddev": sample_stddev(prices),
        }


def _brand_10m(events: list[Event]) -> Iterator[Document]:
    """Ten minutes sliding by five, by brand: every event is in two windows."""
    groups: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in events:
        for start in window_starts(event.at, BRAND_10M, BRAND_10M_SLIDE):
            groups[start, event.brand].append(event)
    for (start, brand), group in groups.items():
        yield {
            "_id": f"brand_10m|{to_iso(start)}|{brand}",
            "kind": "brand_10m",
            "window_start": to_datetime(start),
            "window_end": to_datetime(start + BRAND_10M),
            "brand": brand,
            "event_count": len(group),
            "unique_users": len({event.user_id for event in group}),
            "avg_price": mean([event.price for event in group]),
        }


def _category_1h(events: list[Event]) -> Iterator[Document]:
    """Tumbling hour by category, event types pivoted; an hour of nothing but removals has a document full of zeros."""
    groups = group_by(events, lambda event: (_tumbling(event, CATEGORY_1H), event.category_name))
    for (start, category), group in groups.items():
        prices = {
            event_type: [event.price for event in group if event.event_type == event_type]
            for event_type in ("view", "cart", "purchase")
        }
        yield {
            "_id": f"category_1h|{to_iso(start)}|{category}",
            "kind": "category_1h",
            "window_start": to_datetime(start),
            "window_end": to_datetime(start + CATEGORY_1H),
            "category_name": category,
            "view_count": len(prices["view"]),
            "cart_count": len(prices["cart"]),
            "purchase_count": len(prices["purchase"]),
            "view_revenue": total(prices["view"]),
            "cart_revenue": total(prices["cart"]),
            "purchase_revenue": total(prices["purchase"]),
        }


def _tumbling(event: Event, length: int) -> int:
    """Start of the one window of this length (milliseconds) that the event is in."""
    (start,) = window_starts(event.at, length, slide=length)
    return start
