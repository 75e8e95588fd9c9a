"""The conversion funnel: 15-minute windows over the visits that start in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from spark_jobs.mongo import upsert
from spark_jobs.streaming.times import EPOCH

WINDOW = timedelta(minutes=15)


def window_of(moment: datetime) -> datetime:
    """Return the start of the 15-minute window that `moment` falls into."""
    return moment - (moment - EPOCH) % WINDOW


def refresh(
    db: Database[dict[str, Any]], session_starts: Iterable[datetime], without: Collection[str] = frozenset()
) -> int:
    """Compute the funnel anew for every window in which a changed visit starts (or started), and store it.

    The visits are read back from `user_session_analytics`, so a window's numbers never drift from its visits.

    Args:
        db: The platform's database.
        session_starts: When they start, or started.
        without: `_id`s of visits that are about to be removed. They are removed afterwards: after a crash in between
            they still tell which window has to be computed anew.

    Returns:
        How many windows were written or removed.
    """
    windows = sorted({window_of(start) for start in session_starts})
    for first, last in _runs(windows):
        found = {
            row["_id"]: row for row in db["user_session_analytics"].aggregate(_pipeline(first, last + WINDOW, without))
        }
        run = [window for window in windows if first <= window <= last]
        upsert(db, "conversion_funnel", (document(window, found[window]) for window in run if window in found))
        gone = [_id(window) for window in run if window not in found]
        if gone:
            db["conversion_funnel"].delete_many({"_id": {"$in": gone}})
    return len(windows)


def _runs(windows: list[datetime], longest_gap: timedelta = timedelta(hours=1)) -> list[tuple[datetime, datetime]]:
    """Join windows that lie close together into ranges, so that one query serves many."""
    runs: list[tuple[datetime, datetime]] = []
    for window in windows:
        if runs and window - runs[-1][1] <= longest_gap:
            runs[-1] = (runs[-1][0], window)
        else:
            runs.append((window, window))
    return runs


def _pipeline(start: datetime, end: datetime, without: Collection[str]) -> list[dict[str, Any]]:
    def count(flag: str) -> dict[str, Any]:
        return {"$sum": {"$cond": [f"${flag}", 1, 0]}}

    return [
        {"$match": {"session_start": {"$gte": start, "$lt": end}, "_id": {"$nin": list(without)}}},
        {
            "$group": {
                "_id": {"$dateTrunc": {"date": "$session_start", "unit": "minute", "binSize": 15}},
                "total_sessions": {"$sum": 1},
                "sessions_with_view": count("has_view"),
                "sessions_with_cart": count("has_cart"),
                "sessions_with_purchase": count("has_purchase"),
                "avg_session_duration": {"$avg": "$session_duration_minutes"},
                "purchase_value": {"$sum": "$total_purchase_value"},
            }
        },
    ]


def document(window: datetime, totals: dict[str, Any]) -> dict[str, Any]:
    """Build the document of `conversion_funnel`; rates are percent, 0 where there is nothing to divide by."""
    sessions, views = totals["total_sessions"], totals["sessions_with_view"]
    carts, purchases = totals["sessions_with_cart"], totals["sessions_with_purchase"]
    return {
        "_id": _id(window),
        "window_start": window,
        "window_end": window + WINDOW,
        "total_sessions": sessions,
        "sessions_with_view": views,
        "sessions_with_cart": carts,
        "sessions_with_purchase": purchases,
        "view_to_cart_rate": _percent(carts, views),
        "cart_to_purchase_rate": _percent(purchases, carts),
        "overall_conversion_rate": _percent(purchases, sessions),
        "avg_session_duration": totals["avg_session_duration"],
        "avg_purchase_value": totals["purchase_value"] / purchases if purchases else None,
    }


def _id(window: datetime) -> str:
    return window.isoformat().replace("+00:00", "Z")


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
