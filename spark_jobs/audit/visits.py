"""Visits (`user_session_analytics`) and the funnel over them (`conversion_funnel`).

A visit is a run of events of one (`user_id`, `user_session`) in which no gap between neighbours exceeds 30 minutes. The
same `user_session` under two users is two visits.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from spark_jobs.audit.events import (
    MINUTE,
    Document,
    Event,
    group_by,
    to_datetime,
    to_iso,
    to_milliseconds,
    window_starts,
)
from spark_jobs.audit.figures import mean, percentage, total

LONGEST_GAP = 30 * MINUTE  # a gap of exactly this stays within the visit
LISTED_NAMES = 100
LISTED_NAME_LENGTH = 128
POWER_USER_EVENTS = 20
POWER_BUYER_EVENTS = 10
ENGAGED_EVENTS = 10
FUNNEL_WINDOW = 15 * MINUTE

Visit = list[Event]


def split_visits(events: Iterable[Event]) -> Iterator[Visit]:
    """Yield every visit as its events in order of time, at least one."""
    for history in group_by(events, lambda event: (event.user_id, event.user_session)).values():
        history.sort(key=lambda event: event.at)
        visit = [history[0]]
        for event in history[1:]:
            if event.at - visit[-1].at > LONGEST_GAP:
                yield visit
                visit = []
            visit.append(event)
        yield visit


def session_analytics(visits: Iterable[Visit]) -> dict[str, Document]:
    """Documents of `user_session_analytics` by `_id`, which is `user_session|session_start`.

    Where visits of several users share both session and start, the smallest `user_id` has that `_id` and every other
    one appends `|user_id`. The two forms cannot be confused: one ends with `Z`, the other with a digit.
    """
    documents: dict[str, Document] = {}
    for visit in sorted(visits, key=lambda visit: visit[0].user_id):
        document_id = f"{visit[0].user_session}|{to_iso(visit[0].at)}"
        if document_id in documents:
            document_id = f"{document_id}|{visit[0].user_id}"
        documents[document_id] = {"_id": document_id} | _describe(visit)
    return documents


def conversion_funnel(sessions: Iterable[Document]) -> dict[str, Document]:
    """Documents of `conversion_funnel` by `_id`, from those of `user_session_analytics`."""
    documents = {}
    for start, group in group_by(sessions, _funnel_window).items():
        with_view = sum(session["has_view"] for session in group)
        with_cart = sum(session["has_cart"] for session in group)
        purchase_values = [session["total_purchase_value"] for session in group if session["has_purchase"]]
        document_id = to_iso(start)
        documents[document_id] = {
            "_id": document_id,
            "window_start": to_datetime(start),
            "window_end": to_datetime(start + FUNNEL_WINDOW),
            "total_sessions": len(group),
            "sessions_with_view": with_view,
            "sessions_with_cart": with_cart,
            "sessions_with_purchase": len(purchase_values),
            "view_to_cart_rate": percentage(with_cart, with_view),
            "cart_to_purchase_rate": percentage(len(purchase_values), with_cart),
            "overall_conversion_rate": percentage(len(purchase_values), len(group)),
            "avg_session_duration": mean([session["session_duration_minutes"] for session in group]),
            "avg_purchase_value": mean(purchase_values) if purchase_values else None,
        }
    return documents


def journey_stage(carts: int, purchases: int) -> str:
    """How far towards a purchase a visit got."""
    if purchases:
        return "CONVERTED"
    return "CONSIDERATION" if carts else "AWARENESS"


def behavior(events: int, carts: int, purchases: int) -> str:
    """The kind of visitor, from the number of events, carts and purchases of a visit; the first rule that fits."""
    if events == 1:
        return "bouncer"
    if events >= POWER_USER_EVENTS or (purchases and events >= POWER_BUYER_EVENTS):
        return "power_user"
    if carts or purchases or events >= ENGAGED_EVENTS:
        return "engaged_shopper"
    return "browser"


def _describe(visit: Visit) -> Document:
    """Every field of a visit's document but its `_id`."""
    first, last = visit[0], visit[-1]
    count = Counter(event.event_type for event in visit)
    views = [event for event in visit if event.event_type == "view"]
    return {
        "user_id": first.user_id,
        "user_session": first.user_session,
        "total_events": len(visit),
        "unique_products_viewed": len({event.product_id for event in views}),
        "view_count": count["view"],
        "cart_count": count["cart"],
        "remove_from_cart_count": count["remove_from_cart"],
        "purchase_count": count["purchase"],
        "total_purchase_value": total([event.price for event in visit if event.event_type == "purchase"]),
        "avg_product_price": mean([event.price for event in visit]),
        "categories_browsed": _listed(event.category_name for event in visit),
        "brands_viewed": _listed(event.brand for event in views),
        "session_start": to_datetime(first.at),
        "session_end": to_datetime(last.at),
        "session_duration_minutes": (last.at - first.at) / MINUTE,
        "has_view": count["view"] > 0,
        "has_cart": count["cart"] > 0,
        "has_purchase": count["purchase"] > 0,
        "conversion_rate": count["purchase"] / len(visit),
        "journey_stage": journey_stage(count["cart"], count["purchase"]),
        "behavior": behavior(len(visit), count["cart"], count["purchase"]),
    }


def _listed(names: Iterable[str]) -> list[str]:
    return sorted({name[:LISTED_NAME_LENGTH] for name in names})[:LISTED_NAMES]


def _funnel_window(session: Document) -> int:
    """Start of the funnel window, in milliseconds, that a `user_session_analytics` document is in."""
    (start,) = window_starts(to_milliseconds(session["session_start"]), FUNNEL_WINDOW, slide=FUNNEL_WINDOW)
    return start
