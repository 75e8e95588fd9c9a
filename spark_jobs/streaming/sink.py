"""One micro-batch -> MongoDB.

Every write replaces whole documents by `_id`: a batch that is repeated after a crash writes the same documents again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pymongo.database import Database
from pyspark.sql import DataFrame

from spark_jobs.mongo import Document, merge, replace, upsert
from spark_jobs.streaming import funnel, records, windows
from spark_jobs.streaming.cells import VISIT_PART
from spark_jobs.streaming.checkpoint import Origin
from spark_jobs.streaming.counts import BatchCounts, count
from spark_jobs.streaming.funnel import KnownWindows
from spark_jobs.streaming.open_visits import OpenVisits
from spark_jobs.streaming.outputs import Batch, fetch
from spark_jobs.streaming.times import EPOCH, moments, since_epoch
from spark_jobs.streaming.visits import VISIT_GAP

log = logging.getLogger(__name__)

# The columns a visit is made of.
_PART_COLUMNS = (
    "name",
    "detail",
    "window_start",
    "first_event",
    "last_event",
    "event_count",
    "price_sum",
    "purchase_value",
    "view_count",
    "cart_count",
    "remove_from_cart_count",
    "purchase_count",
    "items",
)
_PART_TIMES = ("window_start", "first_event", "last_event")

# While one makes documents, others can send theirs.
_THREADS = 3


class Sink:
    """Writes micro-batches of `outputs.outputs` to the streaming collections.

    Args:
        db: The platform's database.
        open_visits: The visits that may still change, as they stand after the last finished batch.
        origin: What the checkpoint was made for: its generation is written into every derived document, windows and
            visits that it protects are left as they are.
        newest_record: The newest Kafka timestamp of all finished batches.
    """

    def __init__(
        self,
        db: Database[Document],
        open_visits: OpenVisits,
        origin: Origin,
        newest_record: datetime,
    ) -> None:
        self._db = db
        self.open_visits = open_visits
        self._generation = origin.generation
        self._protected_until = origin.protected_until
        self._newest_record = newest_record
        # No event of a visit that starts later can be among those that are no longer in Kafka.
        self._whole_after = origin.protected_until + VISIT_GAP if origin.protected_until else EPOCH
        # As long as a rebuild goes on, visits of the earlier checkpoint are replaced unseen, and removed at its end.
        self._funnel_windows = (
            KnownWindows(None)
            if origin.rebuild_until
            else KnownWindows(self._whole_after, open_visits.complete_from, open_visits.shares())
        )

    def write(self, batch: DataFrame, batch_id: int, late_until: datetime | None) -> BatchCounts:
        """Write one micro-batch; returns when every collection has it.

        Args:
            batch: Rows of `outputs.outputs`.
            batch_id: For the log.
            late_until: The watermark that decides which of its events are late; None where none are.
        """
        timer = _Timer()
        fetched = fetch(batch)
        counts = count(fetched.valid, fetched.refused, late_until)
        timer.lap("compute")
        if counts.accepted or counts.dead_lettered:
            # None of these needs another one's documents. How many requests there are at once is up to the connections.
            with ThreadPoolExecutor(_THREADS) as threads:
                steps = [
                    threads.submit(self._write_records, fetched),
                    threads.submit(self._write_visits, fetched.cells),
                    threads.submit(self._write_windows, fetched.cells),
                ]
                for step in steps:
                    step.result()
            timer.lap("store")
            self._newest_record = max(counts.newest_record, self._newest_record)
            log.info(
                "batch %d: %d accepted, %d dead-lettered in %s; %d sessions are open",
                batch_id,
                counts.accepted,
                counts.dead_lettered,
                timer,
                len(self.open_visits),
            )
        return counts

    def rebuilt(self) -> None:
        """Take note that nothing of an earlier checkpoint is left."""
        self._funnel_windows = KnownWindows(self._whole_after)

    def _write_records(self, batch: Batch) -> None:
        """Write events, which are most likely new, and dead letters, to which people may have added something."""
        now = datetime.now(UTC)
        # A look at a few tells a batch or a file that is repeated: not one insert would succeed.
        ids = batch.valid.column("_id")
        sample = [ids[at].as_py() for at in {0, len(ids) // 2, len(ids) - 1} if len(ids)]
        repeated = self._db["enriched_events"].find_one({"_id": {"$in": sample}}, {"_id": 1})
        write = replace if repeated else upsert
        write(self._db, "enriched_events", records.events(batch.valid, now))
        merge(self._db, "dead_letter_events", records.dead_letters(batch.refused, now))

    def _write_windows(self, cells: pa.Table) -> None:
        """Write the changed windows; those that hold no event of an earlier batch are certainly new."""
        if self._protected_until is not None:
            cells = cells.filter(pc.greater(cells.column("window_start"), since_epoch(self._protected_until)))
        known = pc.less_equal(cells.column("first_arrival"), since_epoch(self._newest_record))
        kinds = cells.column("kind")
        for kind in windows.FIELDS:
            of_kind = pc.equal(kinds, kind)
            new, changed = cells.filter(pc.and_not(of_kind, known)), cells.filter(pc.and_(of_kind, known))
            upsert(self._db, "event_aggregations", windows.documents(kind, new, self._generation))
            replace(self._db, "event_aggregations", windows.documents(kind, changed, self._generation))

    def _write_visits(self, cells: pa.Table) -> None:
        """Write the changed visits and the funnel."""
        changes = self.open_visits.apply(visit_parts(cells))
        new: list[Document] = []
        changed: list[Document] = []
        for visit in changes.upserts:
            if visit["session_start"] > self._whole_after:
                (changed if visit["_id"] in changes.known else new).append(visit | {"generation": self._generation})
        upsert(self._db, "user_session_analytics", new)
        replace(self._db, "user_session_analytics", changed)
        funnel.write(self._db, changes, self._funnel_windows)
        if changes.deletes:
            self._db["user_session_analytics"].delete_many({"_id": {"$in": changes.deletes}})


class _Timer:
    """Names where a micro-batch spends its time."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._laps: list[str] = []

    def lap(self, name: str) -> None:
        """End the current step."""
        now = time.monotonic()
        self._laps.append(f"{name} {now - self._last:.1f}")
        self._last = now

    def __str__(self) -> str:
        return f"{self._last - self._started:.1f} s ({', '.join(self._laps)})"


def visit_parts(cells: pa.Table) -> Iterator[Document]:
    """Yield the cells of kind `visit_part` as `open_visits.OpenVisits` takes them, with time-zone-aware dates.

    Args:
        cells: Rows of `windows.figures`.
    """
    parts = cells.filter(pc.equal(cells.column("kind"), VISIT_PART))
    columns = {name: parts.column(name).to_pylist() for name in _PART_COLUMNS if name not in _PART_TIMES}
    columns |= {name: moments(parts.column(name)) for name in _PART_TIMES}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))
