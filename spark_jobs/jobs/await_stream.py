"""Waits until the streaming application has processed everything that is in the Kafka topic by now."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.errors import JobError
from spark_jobs.events.topic import open_topic
from spark_jobs.mongo import database

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_REPORT_SECONDS = 5.0


def main(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Wait; returns the `records` of the topic, and the `seconds` waited."""
    health = database(config)["stream_health"]
    with open_topic(config) as topic:
        _, target = topic.offsets()
    if not target:
        raise JobError(f"the Kafka topic {config.topic} does not exist")
    records = sum(target.values())
    started = time.monotonic()
    reported = moved = started
    missing = records
    while True:
        driver = health.find_one({"_id": "driver"}) or {}
        reached = driver.get("end_offsets", {})
        before = missing
        missing = sum(max(0, end - reached.get(str(partition), 0)) for partition, end in target.items())
        now = time.monotonic()
        moved = now if missing < before else moved
        if not missing and driver.get("batch_started_at") is None:
            log.info("all %d records are processed", records)
            return {"records": records, "seconds": round(now - started, 1)}
        if driver.get("state") == "failed":
            raise RuntimeError(f"the streaming application has failed: {driver.get('error')}")
        if now - moved > args.timeout:
            raise RuntimeError(
                f"{missing} of {records} records are left, and for {args.timeout:.0f} s none was processed"
            )
        if now - reported >= _REPORT_SECONDS:
            reported = now
            age = (datetime.now(UTC) - driver["updated_at"]).total_seconds() if driver else 0.0
            silent = f", no heartbeat for {age:.0f} s" if age > _REPORT_SECONDS else ""
            log.info("%d of %d records processed%s", records - missing, records, silent)
        time.sleep(_POLL_SECONDS)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this job."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--timeout", type=float, default=600, help="seconds without any progress to wait at most (default: 600)"
    )
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
