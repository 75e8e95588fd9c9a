"""Compares what the stream of pods has written with the recomputation: `python -m ... EVENTS`, in Spark's environment.

Reads the job side's variables. The exit status is 0 if every collection is exact and no record is unaccounted for.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.mongo import database
from tests.oracle import assert_streaming_collections, records


@dataclass
class Store:
    """Where the collections are."""

    db: Database[dict[str, Any]]


def main() -> int:
    """Compare; returns the exit status."""
    store = Store(database(Config.from_env()))
    expected = records(Path(sys.argv[1]))
    assert_streaming_collections(store, expected)
    driver = store.db["stream_health"].find_one({"_id": "driver"}) or {}
    figures = {name: int(driver.get(name, 0)) for name in ("accepted", "dead_lettered", "late_events", "duplicates")}
    in_topic = sum(driver["end_offsets"].values())
    print(f"{len(expected)} records, {in_topic} in the topic, {figures}")
    accounted = figures["accepted"] + figures["dead_lettered"] == in_topic == len(expected)
    stored = store.db["dead_letter_events"].count_documents({}) == figures["dead_lettered"]
    return 0 if accounted and stored and not figures["late_events"] else 1


if __name__ == "__main__":
    sys.exit(main())
