"""The event simulator: replays an events file, or dead letters, into the Kafka topic of click events.

Events keep their id, so sending them twice changes nothing. An interrupted replay of a file goes on where Kafka last
acknowledged if it has a --run-id; dead letters carry a mark once Kafka has acknowledged them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.errors import JobError
from spark_jobs.events.producing import Outbox, producer
from spark_jobs.events.record import encoded, source_name
from spark_jobs.events.replay import Progress, send, shift_to_now
from spark_jobs.events.resubmission import open_letters, resubmit
from spark_jobs.events.senders import Senders
from spark_jobs.events.source import newest_event, rows
from spark_jobs.mongo import database

log = logging.getLogger(__name__)


def main(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Replay a file or dead letters; returns the metrics of `replay_file` or of `resubmit`."""
    if args.rate < 0 or args.limit < 0:
        raise JobError("--rate and --limit must not be negative (0 means: no limit)")
    if args.file:
        if args.reason:
            raise JobError(
                "a reason chooses dead letters, not rows of a file (give --dead-letters, in the form: source)"
            )
        return replay_file(args, config)
    if args.shift_to_now or args.source:
        raise JobError("dead letters keep their times and ids (leave out --shift-to-now and --source)")
    letters = open_letters(database(config), args.reason, args.limit)
    client = producer(config)
    try:
        return resubmit(letters, Outbox(client, config.topic), args.rate)
    finally:
        client.close()


def replay_file(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Replay; returns `rows` of the file sent so far in this run, `sent` now, and the `shift_seconds`."""
    first = next(rows(args.file), None)
    if first is None:
        raise JobError(f"{args.file} has no events")
    source = args.source or source_name(args.file)
    progress = Progress.load(database(config), args.run_id or f"{source} by hand", source)
    if not args.run_id:
        progress.rows, progress.shift_seconds = 0, None
    if args.shift_to_now and progress.shift_seconds is None:
        log.info("looking for the newest event of %s", args.file)
        progress.shift_seconds = shift_to_now(newest_event(args.file, args.limit)).total_seconds()
        # Event ids depend on it: a retry must find it, even if nothing has been acknowledged until then.
        progress.acknowledged(progress.rows)
    shift = timedelta(seconds=progress.shift_seconds or 0)
    if progress.rows:
        log.info("going on after row %d", progress.rows)
    records = encoded(args.file, source, shift, progress.rows, args.limit or None)
    with Senders(config) as senders:
        sent = send(senders, records, progress.acknowledged, args.rate)
    return {"file": str(args.file), "rows": progress.rows, "sent": sent, "shift_seconds": shift.total_seconds()}


def parser() -> argparse.ArgumentParser:
    """Return the command line of this job."""
    options = argparse.ArgumentParser(description=__doc__)
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--file", type=Path, help="events file: .csv, .csv.gz or .parquet")
    what.add_argument(
        "--dead-letters", action="store_true", help="send dead letters again: what somebody corrected, else as it was"
    )
    options.add_argument("--reason", default="", help="only dead letters with this reason (default: all)")
    options.add_argument("--rate", type=float, default=0.0, help="events per second; 0 (default): flat out")
    options.add_argument("--limit", type=int, default=0, help="send only the first N; 0 (default): all")
    options.add_argument(
        "--shift-to-now", action="store_true", help="move all event times so that the newest is the present"
    )
    options.add_argument("--source", default="", help="name that event ids derive from (default: made from the file)")
    options.add_argument("--run-id", default="", help="name of the replay of a file: a second call with it resumes")
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
