"""After a lost checkpoint: what the earlier one left behind.

A rebuild writes every window and visit again under its `_id`. Some cannot arise again: a visit whose first event had
not arrived when it was written, a window under a category that has been corrected since. These still carry the earlier
checkpoint's generation when the rebuild has passed the offsets the topic had when it began.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pymongo.database import Database

from spark_jobs.mongo import Document, indexed
from spark_jobs.streaming import funnel
from spark_jobs.streaming.checkpoint import Origin
from spark_jobs.streaming.visits import VISIT_GAP

log = logging.getLogger(__name__)

_CHUNK = 500


def is_complete(origin: Origin, end_offsets: Mapping[str, int]) -> bool:
    """Tell whether a rebuild has passed all that was in the topic when it began.

    Args:
        origin: The checkpoint that is being built.
        end_offsets: The offset after the last record written, by partition (as text).
    """
    until = origin.rebuild_until or {}
    return all(end_offsets.get(str(partition), 0) >= offset for partition, offset in until.items())


def remove_stale(db: Database[Document], origin: Origin) -> int:
    """Remove windows and visits of an earlier checkpoint, except what was protected from the rebuild.

    Safe to repeat. Returns how many documents were removed.
    """
    protected = origin.protected_until
    windows: dict[str, Any] = {"generation": {"$ne": origin.generation}}
    visits: dict[str, Any] = {"generation": {"$ne": origin.generation}}
    if protected:
        windows["window_start"] = {"$gt": protected}
        visits["session_start"] = {"$gt": protected + VISIT_GAP}
    removed = db["event_aggregations"].delete_many(windows).deleted_count
    written = indexed(db, "user_session_analytics", "session_start")
    stale = written.find(visits, {"session_start": 1}).sort("session_start")
    # The funnel first: a visit that is gone cannot tell any more which window it was counted in.
    while chunk := list(islice(stale, _CHUNK)):
        ids = [visit["_id"] for visit in chunk]
        funnel.refresh(db, (funnel.window_of(visit["session_start"]) for visit in chunk), without=ids)
        removed += db["user_session_analytics"].delete_many({"_id": {"$in": ids}}).deleted_count
    log.info("the rebuild is complete; %d stale documents of the earlier checkpoint were removed", removed)
    return removed
