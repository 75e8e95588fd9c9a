"""The conversion funnel: 15-minute windows over the visits that start in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from pymongo.database import Database

from spark_jobs.mongo import indexed, replace, upsert
from spark_jobs.streaming.open_visits import Changes
from spark_jobs.streaming.times import EPOCH
from spark_jobs.streaming.visits import Share

WINDOW = timedelta(minutes=15)
# So many windows are kept in memory: those of the last ten days. Visits hardly ever change in one that is older.
REMEMBERED = 1_000


def window_of(moment: datetime) -> datetime:
    """Return the start of the 15-minute window that `moment` falls into."""
    return moment - (moment - EPOCH) % WINDOW


@dataclass
class Totals:
    """The visits that start in one window. Only exact numbers: they can be added to and taken from for ever.

    Attributes:
        sessions: How many visits.
        views: Visits with a view.
        carts: Visits with a cart.
        purchases: Visits with a purchase.
        duration: Of all visits.
        value: Of all purchases.
    """

    sessions: int = 0
    views: int = 0
    carts: int = 0
    purchases: int = 0
    duration: timedelta = timedelta(0)
    value: Fraction = Fraction(0)

    def count(self, share: Share, times: int) -> None:
        """Add a visit (1 times) or take it away (-1 times)."""
        self.sessions += times
        self.views += times * share.has_view
        self.carts += times * share.has_cart
        self.duration += times * (share.session_end - share.session_start)
        if share.has_purchase:
            self.purchases += times
            self.value += times * _exact(share.total_purchase_value)


class KnownWindows:
    """The totals of windows whose every visit has been counted, kept current with the changes of each micro-batch.

    Args:
        after: Windows that start later may be remembered; None if none may, because something else than the changes of
            micro-batches changes visits.
        complete_from: `open_visits` holds every visit that starts at this moment or later; None where nobody knows.
        visits: What stored visits count for.
    """

    def __init__(
        self, after: datetime | None, complete_from: datetime | None = None, visits: Iterable[Share] = ()
    ) -> None:
        self._after = after
        self._complete_from = complete_from
        self._totals: dict[datetime, Totals] = {}
        for share in visits:
            if totals := self._of(window_of(share.session_start)):
                totals.count(share, 1)

    def update(self, changes: Changes) -> dict[datetime, Totals | None]:
        """Count what has changed.

        Returns:
            The windows that are concerned, with their totals; None for those that are not known.
        """
        windows: dict[datetime, Totals | None] = {}
        for shares, times in ((changes.before, -1), (changes.after, 1)):
            for share in shares:
                window = window_of(share.session_start)
                totals = windows.setdefault(window, self._of(window))
                if totals:
                    totals.count(share, times)
        return windows

    def learn(self, windows: Mapping[datetime, Totals]) -> None:
        """Remember windows whose visits have just been counted."""
        self._totals |= {window: totals for window, totals in windows.items() if self._may_remember(window)}
        for window in sorted(self._totals)[:-REMEMBERED]:
            del self._totals[window]
            if self._complete_from is not None:
                self._complete_from = max(self._complete_from, window + WINDOW)

    def _of(self, window: datetime) -> Totals | None:
        """Return a window's totals, which are zero where certainly no visit has been stored yet; None if unknown."""
        empty = self._complete_from is not None and window >= self._complete_from and self._may_remember(window)
        return self._totals.setdefault(window, Totals()) if empty else self._totals.get(window)

    def _may_remember(self, window: datetime) -> bool:
        return self._after is not None and window > self._after


def write(db: Database[dict[str, Any]], changes: Changes, known: KnownWindows) -> None:
    """Store the funnel of every window in which visits change, once these are stored.

    Args:
        db: The platform's database.
        changes: What has changed. Documents to be removed are removed afterwards: after a crash in between they still
            tell which window has to be counted anew.
        known: The windows that need not be counted anew.
    """
    windows = known.update(changes)
    _store(db, {window: totals for window, totals in windows.items() if totals is not None}, replace)
    unknown = [window for window, totals in windows.items() if totals is None]
    known.learn(refresh(db, unknown, without=changes.deletes))


def refresh(
    db: Database[dict[str, Any]], windows: Iterable[datetime], without: Collection[str] = frozenset()
) -> dict[datetime, Totals]:
    """Count the visits of windows in `user_session_analytics`, and store the funnel.

    Args:
        db: The platform's database.
        windows: When they start.
        without: `_id`s of visits that are about to be removed.

    Returns:
        The totals of each window.
    """
    counted: dict[datetime, Totals] = {}
    windows = sorted(set(windows))
    if not windows:
        return counted
    visits = indexed(db, "user_session_analytics", "session_start")
    for run in _runs(windows):
        pipeline = _pipeline(run[0], run[-1] + WINDOW, without)
        found = {row["_id"]: _totals(row) for row in visits.aggregate(pipeline)}
        totals = {window: found.get(window, Totals()) for window in run}
        _store(db, totals, upsert)
        counted |= totals
    return counted


def _store(db: Database[dict[str, Any]], windows: Mapping[datetime, Totals], write: Callable[..., Any]) -> None:
    write(db, "conversion_funnel", (document(window, totals) for window, totals in windows.items() if totals.sessions))
    if gone := [_id(window) for window, totals in windows.items() if not totals.sessions]:
        db["conversion_funnel"].delete_many({"_id": {"$in": gone}})


def _runs(windows: list[datetime], longest_gap: timedelta = timedelta(hours=1)) -> list[list[datetime]]:
    """Put windows that lie close together into one list, so that one query serves them."""
    runs: list[list[datetime]] = []
    for window in windows:
        if runs and window - runs[-1][-1] <= longest_gap:
            runs[-1].append(window)
        else:
            runs.append([window])
    return runs


def _pipeline(start: datetime, end: datetime, without: Collection[str]) -> list[dict[str, Any]]:
    def count(flag: str) -> dict[str, Any]:
        return {"$sum": {"$cond": [f"${flag}", 1, 0]}}

    return [
        {"$match": {"session_start": {"$gte": start, "$lt": end}, "_id": {"$nin": list(without)}}},
        {
            "$group": {
                "_id": {"$dateTrunc": {"date": "$session_start", "unit": "minute", "binSize": 15}},
                "sessions": {"$sum": 1},
                "views": count("has_view"),
                "carts": count("has_cart"),
                "purchases": count("has_purchase"),
                "minutes": {"$sum": "$session_duration_minutes"},
                "value": {"$sum": "$total_purchase_value"},
            }
        },
    ]


def _exact(value: float) -> Fraction:
    """Return the number itself; of a sum that has overflowed the largest there is, which can be taken away again."""
    return Fraction(min(value, sys.float_info.max))


def _totals(row: Mapping[str, Any]) -> Totals:
    return Totals(
        sessions=row["sessions"],
        views=row["views"],
        carts=row["carts"],
        purchases=row["purchases"],
        # Events have times of whole milliseconds, so their sum can be told exactly from that of the rounded minutes.
        duration=timedelta(milliseconds=round(row["minutes"] * 60_000)),
        value=_exact(row["value"]),
    )


def document(window: datetime, totals: Totals) -> dict[str, Any]:
    """Build the document of `conversion_funnel`; rates are percent, 0 where there is nothing to divide by."""
    return {
        "_id": _id(window),
        "window_start": window,
        "window_end": window + WINDOW,
        "total_sessions": totals.sessions,
        "sessions_with_view": totals.views,
        "sessions_with_cart": totals.carts,
        "sessions_with_purchase": totals.purchases,
        "view_to_cart_rate": _percent(totals.carts, totals.views),
        "cart_to_purchase_rate": _percent(totals.purchases, totals.carts),
        "overall_conversion_rate": _percent(totals.purchases, totals.sessions),
        "avg_session_duration": totals.duration / timedelta(minutes=1) / totals.sessions,
        "avg_purchase_value": float(totals.value / totals.purchases) if totals.purchases else None,
    }


def _id(window: datetime) -> str:
    return window.isoformat().replace("+00:00", "Z")


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
