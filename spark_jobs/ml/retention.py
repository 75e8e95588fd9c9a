"""Which moments' documents and files are dropped, and how."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pymongo.database import Database

from spark_jobs.ml import registry
from spark_jobs.ml.as_of import compact, documents_of, iso, parse_compact
from spark_jobs.ml.model_store import SCRATCH
from spark_jobs.ml.publish import withdraw
from spark_jobs.ml.snapshot import PARTIAL
from spark_jobs.mongo import Document

log = logging.getLogger(__name__)

COLLECTIONS = tuple(registry.COLLECTIONS.values())

# A moment that was written lately stays, however old it is: its run, or the backfill that it belongs to, may be at
# work, and who has backfilled it wants to look at it.
GRACE = timedelta(days=1)


def to_drop(moments: Collection[datetime], days: int, keep: Collection[datetime]) -> list[datetime]:
    """Decide which moments go: those more than `days` before the newest one, but for the first of each day.

    The first moment of a day is midnight, as a rule: it looks back on whole days.

    Args:
        moments: All there are, UTC.
        days: How long every moment is kept, counted from the newest one and not from now: the events may be a past
            year's.
        keep: Moments to keep in any case.
    """
    if not moments:
        return []
    first: dict[date, datetime] = {}
    for moment in sorted(moments):
        first.setdefault(moment.date(), moment)
    kept = {*first.values(), *keep}
    oldest = max(moments) - timedelta(days=days)
    return sorted(moment for moment in moments if moment < oldest and moment not in kept)


def recorded_moments(db: Database[Document]) -> set[datetime]:
    """Return every moment that has a record and was not dropped.

    Asking the collections themselves would be a look at an index for each moment, but a server may have none that
    serves a range of `_id`s: the embedded one would read each collection as often as it has moments. A run that died
    before it wrote its record has left its work folder.
    """
    records = db[registry.COLLECTION].find({"kind": "run", "dropped_at": {"$exists": False}}, {"as_of": 1})
    return {record["as_of"] for record in records}


def work_folders(data_dir: Path) -> list[Path]:
    """Return the folders `work/<moment>` of all moments."""
    return sorted(path for path in data_dir.glob("work/*T*Z") if path.is_dir())


def written_since(db: Database[Document], data_dir: Path, since: datetime) -> set[datetime]:
    """Return the moments with a record or a folder that was written lately."""
    records = db[registry.COLLECTION].find({"kind": "run", "finished_at": {"$gte": since}}, {"as_of": 1})
    recent = {record["as_of"] for record in records}
    return recent | {parse_compact(folder.name) for folder in work_folders(data_dir) if _changed(folder) >= since}


def drop(db: Database[Document], data_dir: Path, moment: datetime) -> int:
    """Delete the documents and work files of a moment; returns the number of documents.

    Its records in `model_runs` stay: they are small, and how metrics developed is what one looks back for. They say
    first that the moment is dropped, for those who count its documents meanwhile; the folder, by which the moment is
    found again should this be interrupted, goes last.
    """
    db[registry.COLLECTION].update_many({"_id": documents_of(iso(moment))}, {"$set": {"dropped_at": datetime.now(UTC)}})
    deleted = sum(withdraw(db, name, moment) for name in COLLECTIONS)
    # Another run's retention may be at the same.
    shutil.rmtree(data_dir / "work" / compact(moment), ignore_errors=True)
    return deleted


def drop_event_copies(data_dir: Path, since: datetime) -> int:
    """Delete copies of events that were not written lately, the largest files of all; returns their number.

    `extract_events` makes such a copy again, should somebody want to repeat a task of that run.
    """
    old = [path for path in data_dir.glob("work/*T*Z/events.parquet") if _changed(path) < since]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def drop_leftovers(data_dir: Path, since: datetime) -> int:
    """Delete what killed jobs have left half-written a while ago; returns the number of folders."""
    patterns = (f"work/{PARTIAL}*", f"work/*T*Z/{PARTIAL}*", f"{SCRATCH}*")
    old = [path for pattern in patterns for path in data_dir.glob(pattern) if _changed(path) < since]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def _changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        # Somebody else has just deleted it, so there is nothing left to do.
        return datetime.now(UTC)
