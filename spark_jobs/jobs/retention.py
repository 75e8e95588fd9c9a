"""Drop old snapshots of the trained collections, but for one a day; never the promoted one."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from spark_jobs import entry
from spark_jobs.config import Config
from spark_jobs.ml import registry, retention
from spark_jobs.ml.as_of import iso, parse_compact
from spark_jobs.ml.model_store import ModelStore
from spark_jobs.mongo import database

log = logging.getLogger(__name__)


def job(_args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Drop what is too old; returns how much that was."""
    db, folder = database(config), config.data_dir
    since = datetime.now(UTC) - retention.GRACE
    models = ModelStore.open(config)
    saved = list(models.moments())
    moments = retention.recorded_moments(db) | {moment for moment, _ in saved}
    moments |= {parse_compact(path.name) for path in retention.work_folders(folder)}
    promoted = registry.latest(db)
    keep = retention.written_since(db, folder, since) | ({promoted["as_of"]} if promoted else set())
    dropped = retention.to_drop(moments, config.snapshot_days, keep)
    documents = 0
    for moment in dropped:
        for path in (path for saved_at, path in saved if saved_at == moment):
            models.delete(path)
        deleted = retention.drop(db, folder, moment)
        documents += deleted
        log.info("dropped %s: %s documents", iso(moment), f"{deleted:,}")
    copies = retention.drop_event_copies(folder, since)
    if leftovers := retention.drop_leftovers(folder, since):
        log.info("%d half-written folders of killed jobs deleted", leftovers)
    kept = len(moments) - len(dropped)
    log.info("%d moments kept, %d dropped; %d copies of events deleted", kept, len(dropped), copies)
    return {"kept": kept, "dropped": len(dropped), "documents": documents, "event_copies": copies}


if __name__ == "__main__":
    sys.exit(entry.run(job, argparse.ArgumentParser(description=__doc__)))
