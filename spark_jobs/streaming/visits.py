"""Visits: half-hour parts joined across the gaps that do not end a visit.

A visit is the events of one (`user_id`, `user_session`) with no gap over 30 minutes. Spark keeps the parts (one per
half hour of event time, see `cells`) in its state store; this module joins the parts into one document. It keeps only
visits that may still change: once the watermark is more than 30 minutes past a visit's last event nothing can join it,
and it is forgotten. After a restart the open visits are read back from the documents themselves, which carry their
parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
_PART_LENGTH = timedelta(minutes=30)


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


@dataclass
class Changes:
    """What a micro-batch changes in `user_session_analytics`.

    Attributes:
        upserts: Whole documents to write.
        known: The `_id`s of those that have been written before.
        deletes: `_id`s to remove.
        before: What the documents that change, and those that are removed, counted for in the funnel.
        after: What the documents that are written count for.
    """

    upserts: list[Document] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    deletes: list[str] = field(default_factory=list)
    before: list[Share] = field(default_factory=list)
    after: list[Share] = field(default_factory=list)


@dataclass
class _Session:
    """All open visits under one `user_session`, which several users may share.

    Attributes:
        parts: The parts of the open visits, by user and then by start of the half hour.
        written: User of the documents these visits have, and what they count for in the funnel, by `_id`.
        taken: Plain ids that open visits would have, did they not belong to closed visits of other users.
    """

    parts: dict[int, dict[datetime, Document]] = field(default_factory=lambda: defaultdict(dict))
    written: dict[str, tuple[int, Share]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def visits(self, user_session: str) -> list[Document]:
        """Build every open visit's document; `_id`s are unique even where users share session id and start."""
        visits = [
            document(user_id, user_session, chain)
            for user_id in sorted(self.parts)
            for chain in chains(self.parts[user_id].values())
        ]
        seen = set(self.taken)
        for visit in visits:
            plain = visit["_id"]
            if plain in seen:
                visit["_id"] = f"{plain}|{visit['user_id']}"
            seen.add(plain)
        return visits

    def find_taken(self, user_session: str) -> None:
        """Derive `taken` from `written`.

        No other id of a closed visit can be asked for again: whatever begins anew, or earlier than before, begins after
        the watermark and so after the end of every closed visit; and what is joined keeps the start of an open one.
        """
        plain_ids = {base_id(user_session, written.session_start) for _, written in self.written.values()}
        self.taken = plain_ids - self.written.keys()

    def forget(self, user_session: str, watermark: datetime) -> None:
        """Release the visits that no event newer than `watermark` can join; shorten those that go on and on."""
        closed = watermark - VISIT_GAP
        gone: set[tuple[int, datetime]] = set()
        for user_id, own in list(self.parts.items()):
            if len(own) > MAX_PARTS:
                _shorten(own, watermark)
            if min(one["last_event"] for one in own.values()) >= closed:
                continue
            for chain in chains(own.values()):
                if chain[-1]["last_event"] < closed:
                    gone.add((user_id, chain[0]["first_event"]))
                    for one in chain:
                        del own[one["window_start"]]
            if not own:
                del self.parts[user_id]
        if gone:
            self.written = {
                visit_id: (user_id, written)
                for visit_id, (user_id, written) in self.written.items()
                if (user_id, written.session_start) not in gone
            }
            self.find_taken(user_session)


def _shorten(own: dict[datetime, Document], watermark: datetime) -> None:
    """Join the parts of a user's long visits that are closed for good."""
    for chain in chains(own.values()):
        closed = [one for one in chain if one["window_start"] + _PART_LENGTH <= watermark]
        if len(chain) > MAX_PARTS and len(closed) > 1:
            for one in closed[1:]:
                del own[one["window_start"]]
            own[closed[0]["window_start"]] = joined(closed)


class OpenVisits:
    """The visits that may still change.

    Args:
        documents: `user_session_analytics` documents to start from: at least all that may still change.
        complete_from: Every stored visit that starts at this moment or later is among them; None where nobody knows.
    """

    def __init__(self, documents: Iterable[Document] = (), complete_from: datetime | None = None) -> None:
        self.complete_from = complete_from
        self._sessions: dict[str, _Session] = {}
        for stored in documents:
            session = self._sessions.setdefault(stored["user_session"], _Session())
            session.parts[stored["user_id"]].update({one["window_start"]: one for one in stored["parts"]})
            session.written[stored["_id"]] = (stored["user_id"], share(stored))
        for user_session, session in self._sessions.items():
            session.find_taken(user_session)

    def __len__(self) -> int:
        return len(self._sessions)

    def shares(self) -> Iterator[Share]:
        """Yield what the stored documents of the open visits count for in the funnel."""
        for session in self._sessions.values():
            for _, written in session.written.values():
                yield written

    def apply(self, rows: Iterable[Mapping[str, Any]]) -> Changes:
        """Take the changed parts of a micro-batch and say which documents follow from them.

        Args:
            rows: Cells of kind `visit_part`, each the whole part as it stands now: applying them twice changes nothing.

        Returns:
            The documents of the visits that contain a changed part, and the documents they replace: an event out of
            order can join two visits, or start one earlier and so change its `_id`.
        """
        touched: dict[str, set[tuple[int, datetime]]] = {}
        for row in rows:
            user_id, start = int(row["detail"]), row["window_start"]
            self._sessions.setdefault(row["name"], _Session()).parts[user_id][start] = part(row)
            touched.setdefault(row["name"], set()).add((user_id, start))
        changes = Changes()
        for user_session, slots in touched.items():
            session = self._sessions[user_session]
            visits = session.visits(user_session)
            now = {visit["_id"]: (visit["user_id"], share(visit)) for visit in visits}
            gone = session.written.keys() - now.keys()
            written = [
                visit
                for visit in visits
                if session.written.get(visit["_id"]) != now[visit["_id"]]
                or any((visit["user_id"], one["window_start"]) in slots for one in visit["parts"])
            ]
            known = session.written.keys() & {visit["_id"] for visit in written}
            changes.upserts += written
            changes.known |= known
            changes.deletes += gone
            changes.before += [session.written[visit_id][1] for visit_id in gone | known]
            changes.after += [now[visit["_id"]][1] for visit in written]
            session.written = now
        return changes

    def forget(self, watermark: datetime) -> None:
        """Release the visits that no event newer than `watermark` can join; shorten those that go on and on."""
        for user_session, session in list(self._sessions.items()):
            session.forget(user_session, watermark)
            if not session.parts:
                del self._sessions[user_session]
