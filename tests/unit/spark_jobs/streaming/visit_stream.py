"""A stream of visits in miniature: half-hour parts as `cells` makes them, micro-batches, watermark, store and crashes.

What is written follows `sink`: documents that are new, documents that replace others, the funnel without the documents
about to go, and these last. A crash may come after any single write; the batch is then repeated by a new driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from spark_jobs.streaming import funnel
from spark_jobs.streaming.funnel import KnownWindows, Totals
from spark_jobs.streaming.open_visits import Changes, OpenVisits
from spark_jobs.streaming.visits import VISIT_GAP, share

Document = dict[str, Any]
Slot = tuple[str, int, datetime]

LATENESS = timedelta(minutes=10, milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = ("view", "cart", "remove_from_cart", "purchase")


def visit_cell(slot: Slot, events: list[Document]) -> Document:
    """Aggregate the events of one half hour of one user's session, as `cells.cells` does."""
    prices = {name: [one["price"] for one in events if one["event_type"] == name] for name in _TYPES}
    moments = [one["event_timestamp"] for one in events]
    items = {
        (
            one["product_id"] if one["event_type"] == "view" else None,
            one["brand"] if one["event_type"] == "view" else None,
            one["category_name"],
        )
        for one in events
    }
    return {
        "name": slot[0],
        "detail": str(slot[1]),
        "window_start": slot[2],
        "first_event": min(moments),
        "last_event": max(moments),
        "event_count": len(events),
        "price_sum": sum(one["price"] for one in events),
        "purchase_value": sum(prices["purchase"]),
        **{f"{name}_count": len(prices[name]) for name in _TYPES},
        "items": [dict(zip(("product_id", "brand", "category_name"), item, strict=True)) for item in items],
    }


class VisitStream:
    """Takes micro-batches of events and keeps what would be in MongoDB.

    Attributes:
        accepted: The events that were on time.
        visits: Stored documents of `user_session_analytics`, by `_id`.
        funnel: Stored documents of `conversion_funnel`, by `_id`.
        open_visits: The driver's memory of visits.
        funnel_windows: Its memory of the funnel.
        newest: The newest event's time.
        writes: How many documents the last batch wrote or removed.
    """

    def __init__(self) -> None:
        self.accepted: list[Document] = []
        self.visits: dict[str, Document] = {}
        self.funnel: dict[str, Document] = {}
        self.open_visits = OpenVisits()
        self.funnel_windows = KnownWindows(_EPOCH, _EPOCH)
        self.newest = _EPOCH
        self.writes = 0
        self._watermark = _EPOCH  # as the driver knows it: it may lag behind
        self._slots: dict[Slot, list[Document]] = {}

    def batch(self, events: list[Document], crash_after: int | None = None, twice: bool = False) -> None:
        """Process a micro-batch.

        Args:
            events: What arrived.
            crash_after: The driver dies after so many writes of this batch, and another one repeats it.
            twice: The batch is written twice by the same driver.
        """
        on_time = [one for one in events if one["event_timestamp"] > self.newest - LATENESS]
        rows = self._aggregate(on_time)
        if crash_after is not None:
            writes = self._writes(self.open_visits.apply(rows))
            for _ in zip(range(crash_after), writes, strict=False):
                pass
            self.restart()
        for _ in range(1 + twice):
            self.writes = sum(1 for _ in self._writes(self.open_visits.apply(rows)))
        self.newest = max(self.newest, *(one["event_timestamp"] for one in events))

    def forget(self) -> None:
        """Release what is closed by the watermark, which decides what is late in the next batch."""
        self._watermark = self.newest - LATENESS
        self.open_visits.forget(self._watermark)

    def restart(self) -> None:
        """Start a new driver, which reads back the visits that are open by the watermark it knows."""
        complete_from = self._watermark - VISIT_GAP
        self.open_visits = OpenVisits(
            (one for one in self.visits.values() if one["session_end"] >= complete_from), complete_from
        )
        self.funnel_windows = KnownWindows(_EPOCH, complete_from, self.open_visits.shares())

    def _aggregate(self, events: Iterable[Document]) -> list[Document]:
        changed = {}
        for one in events:
            moment = one["event_timestamp"]
            slot = one["user_session"], one["user_id"], moment - (moment - _EPOCH) % timedelta(minutes=30)
            self._slots.setdefault(slot, []).append(one)
            self.accepted.append(one)
            changed[slot] = self._slots[slot]
        return [visit_cell(slot, members) for slot, members in changed.items()]

    def _writes(self, changes: Changes) -> Iterator[None]:
        """Write one document after the other; the caller may stop at any of them."""
        # A wrong guess would cost a second write only, but every visit.
        assert changes.known.isdisjoint(one["_id"] for one in changes.upserts if one["_id"] not in self.visits)
        new = [one for one in changes.upserts if one["_id"] not in changes.known]
        for one in new + [one for one in changes.upserts if one["_id"] in changes.known]:
            self.visits[one["_id"]] = one
            yield
        for window, totals in self.funnel_windows.update(changes).items():
            if totals is None:
                totals = self._counted(window, changes.deletes)
                self.funnel_windows.learn({window: totals})
            if totals.sessions:
                document = funnel.document(window, totals)
                self.funnel[document["_id"]] = document
            else:
                self.funnel.pop(window.isoformat().replace("+00:00", "Z"), None)
            yield
        for gone in changes.deletes:
            self.visits.pop(gone, None)
            yield

    def _counted(self, window: datetime, without: list[str]) -> Totals:
        totals = Totals()
        for visit_id, one in self.visits.items():
            if visit_id not in without and funnel.window_of(one["session_start"]) == window:
                totals.count(share(one), 1)
        return totals
