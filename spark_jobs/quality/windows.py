"""Which documents of a collection a check reads: those that are new or may have changed since the last one.

A collection says in its suite (`meta.window`) how that can be told without reading it all:

| `by` | new are | needs |
|---|---|---|
| `insertion` | those inserted since, by `field` (when they were written), as far back as there are any | nothing |
| `index` | those whose `field` (event time) is past the newest seen less `overlap_minutes` | an index, which it makes |
| `id` | the same, where `_id`s begin with one of `prefixes` and that time | nothing |
| `as_of` | those of the moments that were trained since (`model_runs.finished_at`) | ids that begin with the moment |
| `version` | all of them, if the dimension was published since | nothing |

The overlap is the time in which documents may still change: lateness, and the length of a window or visit.

Without `meta.window` everything is read each time. Whatever the suite says, everything is read where there was no check
yet, where the stream has begun anew (another checkpoint writes every document again), and on demand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bson.codec_options import DatetimeConversion
from pymongo.cursor import Cursor
from pymongo.database import Database

from spark_jobs.ml.as_of import documents_of, iso
from spark_jobs.mongo import Document, indexed

CHUNK = 10_000

# Sorts behind every id that begins with the same prefix: after it comes a time.
_END = "~"
_KINDS: dict[str, frozenset[str]] = {
    "insertion": frozenset({"field"}),
    "index": frozenset({"field", "overlap_minutes"}),
    "id": frozenset({"field", "overlap_minutes", "prefixes"}),
    "as_of": frozenset(),
    "version": frozenset(),
}
_WRITTEN_BY_STREAM = ("insertion", "index", "id")


@dataclass(frozen=True)
class Window:
    """How the new documents of a collection are told from the others; see the module's docstring.

    Attributes:
        by: The way.
        field: The date to tell them by.
        overlap: How far before the newest known date documents may still change.
        prefixes: What `_id`s begin with, before the date.
    """

    by: str
    field: str = ""
    overlap: timedelta = timedelta(0)
    prefixes: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Mark:
    """Up to where a check has read.

    Attributes:
        since: Where it began; None where it read everything.
        until: What the next check begins with (a date, or a version), if this one found nothing critical.
        generation: The stream's checkpoint at that time.
    """

    since: datetime | str | None = None
    until: datetime | str | None = None
    generation: str | None = None

    def document(self) -> Document:
        """As it is stored with the result."""
        return {"since": self.since, "until": self.until, "generation": self.generation}


def parse_window(content: Any) -> Window | None:
    """Read `meta.window`; None where there is none.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    if content is None:
        return None
    if not isinstance(content, dict) or content.get("by") not in _KINDS:
        raise ValueError(f"is {content!r}; `by` must be one of {', '.join(_KINDS)}")
    expected = _KINDS[content["by"]]
    if set(content) - {"by"} != expected:
        raise ValueError(f"by {content['by']} takes {', '.join(sorted(expected)) or 'nothing else'}")
    minutes, prefixes = content.get("overlap_minutes", 0), content.get("prefixes", [""])
    if not isinstance(minutes, int) or minutes < 0:
        raise ValueError(f"overlap_minutes is {minutes!r}, not a whole number of minutes")
    if not isinstance(prefixes, list) or not all(isinstance(prefix, str) for prefix in prefixes):
        raise ValueError(f"prefixes is {prefixes!r}, not a list of texts")
    return Window(content["by"], content.get("field", ""), timedelta(minutes=minutes), tuple(prefixes))


def next_since(last: Mapping[str, Any] | None, generation: str | None, window: Window | None) -> datetime | str | None:
    """Return where the next check begins; None for the whole collection.

    Args:
        last: The last result of this collection that could be carried out: `window`, `critical`.
        generation: The stream's checkpoint.
        window: How the collection is read.

    What was found critical stays in the window until it is mended: only a check that found nothing critical moves on.
    """
    if window is None or last is None:
        return None
    mark = Mark(**last["window"])
    if window.by in _WRITTEN_BY_STREAM and mark.generation != generation:
        return None
    return mark.since if last["critical"] else mark.until


@dataclass
class Reading:
    """The documents of one check, newest first, in chunks; afterwards it knows up to where it has read.

    Args:
        db: The platform's database.
        collection: Where to read.
        window: How.
        since: Where to begin, from `next_since`; None reads everything.
        limit: Largest number of documents, of the newest ones; None for all.
    """

    db: Database[Document]
    collection: str
    window: Window | None
    since: datetime | str | None
    limit: int | None
    read: int = 0
    cut: bool = False
    until: datetime | str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.until = self.since
        if self.window and self.window.by == "version":
            version = self.db["dimension_versions"].find_one({"_id": self.collection}) or {}
            self.until = version.get("version")

    def __iter__(self) -> Iterator[list[Document]]:
        for documents in self._cursors():
            while chunk := list(islice(documents, self._room())):
                newest = self._newest(chunk)
                new = self._new(chunk)
                self.read += len(new)
                yield new
                if newest is not None and not new:
                    break
            if self.limit is not None and self.read >= self.limit:
                self.cut = next(documents, None) is not None
                return

    def _room(self) -> int:
        return CHUNK if self.limit is None else min(CHUNK, self.limit - self.read)

    def _new(self, chunk: list[Document]) -> list[Document]:
        """Leave out what was inserted before; a chunk of nothing else is the last one, for what follows is older still.

        Micro-batches are written one after the other, each with one date: one that was being written during the last
        check has the newest date that it saw, and is read again as a whole.
        """
        since = self.since
        if self.window is None or self.window.by != "insertion" or not isinstance(since, datetime):
            return chunk
        dates = (one.get(self.window.field) for one in chunk)
        return [one for one, at in zip(chunk, dates, strict=True) if not isinstance(at, datetime) or at >= since]

    def _newest(self, chunk: list[Document]) -> datetime | None:
        if self.window is None or not self.window.field:
            return None
        dates = [one[self.window.field] for one in chunk if isinstance(one.get(self.window.field), datetime)]
        newest = max(dates, default=None)
        if newest is not None and (not isinstance(self.until, datetime) or newest > self.until):
            self.until = newest
        return newest

    def _cursors(self) -> Iterator[Cursor[Document]]:
        window, since = self.window, self.since
        if window is not None and window.by == "as_of":
            yield from self._moments()
        elif window is None or since is None or window.by == "insertion":
            # Insertion order needs no index and no sort, on any collection.
            yield self._find({}).hint([("$natural", -1)])
        elif window.by == "version":
            if since != self.until:
                yield self._find({}).hint([("$natural", -1)])
        elif isinstance(since, datetime):
            start = since - window.overlap
            if window.by == "index":
                indexed(self.db, self.collection, window.field)
                yield self._find({window.field: {"$gte": start}}).sort(window.field, -1)
            else:
                # In one question: the embedded server goes through all documents for each.
                ranges = [{"_id": {"$gte": prefix + _iso(start), "$lt": prefix + _END}} for prefix in window.prefixes]
                yield self._find({"$or": ranges}).sort("_id", -1)

    def _moments(self) -> Iterator[Cursor[Document]]:
        """The documents of each moment that was trained since, or all documents where everything is read."""
        trained = {"kind": "run", "finished_at": {"$type": "date"}}
        if isinstance(self.since, datetime):
            trained["finished_at"] = {"$gt": self.since}
        runs = list(self.db["model_runs"].find(trained, {"as_of": 1, "finished_at": 1}))
        self.until = max([run["finished_at"] for run in runs], default=self.since)
        if self.since is None:
            yield self._find({}).hint([("$natural", -1)])
            return
        for moment in sorted({run["as_of"] for run in runs}, reverse=True):
            yield self._find({"_id": documents_of(iso(moment))})

    def _find(self, query: Mapping[str, Any]) -> Cursor[Document]:
        # A date outside Python's calendar must not end the reading: it arrives as another type and is reported as such.
        options = self.db.codec_options.with_options(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
        # Whole documents: asked for some fields only, the embedded server goes through all documents before it answers.
        return self.db[self.collection].with_options(codec_options=options).find(query, batch_size=CHUNK)


def _iso(moment: datetime) -> str:
    """A moment as ids spell it, cut to seconds: it sorts before every id of that second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
