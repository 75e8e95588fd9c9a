"""Visits: half-hour parts joined across the gaps that do not end a visit.

A visit is the events of one (`user_id`, `user_session`) with no gap over 30 minutes. Spark keeps the parts (one per
half hour of event time, see `cells`) in its state store; this module joins the parts into one document, and
`open_visits` keeps those that may still change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

Document = dict[str, Any]

VISIT_GAP = timedelta(minutes=30)
MAX_NAMES = 100
# A robot may visit for weeks and see the whole shop: beyond this its `unique_products_viewed` stands still, and the
# oldest parts of its visit are kept as one. A document stays far below the 16 MB that MongoDB allows.
MAX_PRODUCTS = 10_000
MAX_PARTS = 24
POWER_USER_EVENTS = 20
ENGAGED_EVENTS = 10

_SUMS = ("total_events", "view_count", "cart_count", "remove_from_cart_count", "purchase_count")
_VALUES = ("price_sum", "purchase_value")
# What a part remembers of its cell's items, and at most how many.
_SETS = {
    "products": ("product_id", MAX_PRODUCTS),
    "brands": ("brand", MAX_NAMES),
    "categories": ("category_name", MAX_NAMES),
}
PART_LENGTH = timedelta(minutes=30)


def part(row: Mapping[str, Any]) -> Document:
    """Turn a cell of kind `visit_part` into the part that is stored in a visit's document.

    Args:
        row: A row of `cells.cells`; dates are time-zone-aware.
    """
    items = row["items"]
    return {
        "window_start": row["window_start"],
        "first_event": row["first_event"],
        "last_event": row["last_event"],
        "total_events": row["event_count"],
        "price_sum": row["price_sum"],
        "purchase_value": row["purchase_value"],
        **{f"{name}_count": row[f"{name}_count"] for name in ("view", "cart", "remove_from_cart", "purchase")},
        **{
            name: sorted({item[key] for item in items if item[key] is not None})[:limit]
            for name, (key, limit) in _SETS.items()
        },
    }


def joined(parts: list[Document]) -> Document:
    """Make one part of one or several, in order of time: what they are together."""
    if len(parts) == 1:
        return parts[0]
    return {
        "window_start": parts[0]["window_start"],
        "first_event": parts[0]["first_event"],
        "last_event": parts[-1]["last_event"],
        **{name: sum(one[name] for one in parts) for name in (*_SUMS, *_VALUES)},
        # The smallest of the smallest are the smallest of all, so a limit on every part is one on the whole.
        **{name: sorted({value for one in parts for value in one[name]})[:limit] for name, (_, limit) in _SETS.items()},
    }


def chains(parts: Iterable[Document]) -> list[list[Document]]:
    """Split the parts of one key into visits: a gap of more than 30 minutes starts a new one."""
    visits: list[list[Document]] = []
    for current in sorted(parts, key=lambda one: one["first_event"]):
        if visits and current["first_event"] - visits[-1][-1]["last_event"] <= VISIT_GAP:
            visits[-1].append(current)
        else:
            visits.append([current])
    return visits


def document(user_id: int, user_session: str, parts: list[Document]) -> Document:
    """Build the document of `user_session_analytics` from the parts of one visit, in order of time."""
    whole = joined(parts)
    start, end = whole["first_event"], whole["last_event"]
    events, carts, purchases = whole["total_events"], whole["cart_count"], whole["purchase_count"]
    return {
        "_id": base_id(user_session, start),
        "user_id": user_id,
        "user_session": user_session,
        "session_start": start,
        "session_end": end,
        "session_duration_minutes": (end - start) / timedelta(minutes=1),
        **{name: whole[name] for name in _SUMS},
        "unique_products_viewed": len(whole["products"]),
        "categories_browsed": whole["categories"],
        "brands_viewed": whole["brands"],
        "total_purchase_value": whole["purchase_value"],
        "avg_product_price": whole["price_sum"] / events,
        "has_view": whole["view_count"] > 0,
        "has_cart": carts > 0,
        "has_purchase": purchases > 0,
        "conversion_rate": purchases / events,
        "journey_stage": "CONVERTED" if purchases else "CONSIDERATION" if carts else "AWARENESS",
        "behavior": _behavior(events, carts, purchases),
        "parts": parts,
    }


def base_id(user_session: str, session_start: datetime) -> str:
    """Return the `_id` of a visit, unless another user's visit under this `user_session` began at the same instant."""
    return f"{user_session}|{_iso(session_start)}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _behavior(events: int, carts: int, purchases: int) -> str:
    if events == 1:
        return "bouncer"
    if events >= POWER_USER_EVENTS or (events >= ENGAGED_EVENTS and purchases):
        return "power_user"
    if carts or purchases or events >= ENGAGED_EVENTS:
        return "engaged_shopper"
    return "browser"


class Share(NamedTuple):
    """What the conversion funnel counts of a visit."""

    session_start: datetime
    session_end: datetime
    has_view: bool
    has_cart: bool
    has_purchase: bool
    total_purchase_value: float


def share(visit: Document) -> Share:
    """Return what the funnel counts of a document of `user_session_analytics`."""
    return Share(*(visit[name] for name in Share._fields))
