"""The visits that may still change.

Once the watermark is more than 30 minutes past a visit's last event nothing can join it, and it is forgotten. After a
restart the open visits are read back from the documents themselves, which carry their parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from spark_jobs.streaming.visits import (
    MAX_PARTS,
    PART_LENGTH,
    VISIT_GAP,
    Document,
    Share,
    base_id,
    chains,
    document,
    joined,
    part,
    share,
)


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
        closed = [one for one in chain if one["window_start"] + PART_LENGTH <= watermark]
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
