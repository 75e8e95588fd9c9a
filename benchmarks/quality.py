"""Measures `data_quality`'s job: how long a run over all collections takes, and how much memory it needs at most.

A database is filled as the platform does it, on servers of its own: generated events are replayed into Kafka, the
streaming application drains them, the models are trained. Then everything is checked three times: all of it (as the
first run does), what the next hour brought (as every hourly run does), and all of it again on demand. See
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks import backlog
from benchmarks.baselines import checkpoint
from benchmarks.drain import Query, await_drained
from benchmarks.figures import table
from benchmarks.options import Parser, count, run
from benchmarks.processes import usage
from benchmarks.servers import Servers, ending, servers
from data.shopgen.settings import Settings
from embedded.config import REPOSITORY
from embedded.errors import StackError
from embedded.progress import Progress

TOPIC = "customer_events"
TRAINING = ("extract_events", "features", "segments", "churn", "time_series", "statistics", "journeys", "promote")
TARGET_SECONDS = 60.0
# The public data has 1.4 million events a day.
HOUR_EVENTS = 60_000
HOURLY = "hourly run"
_EXIT_SKIPPED = 99
_HOUR_SEED = 1


@dataclass(frozen=True)
class Check:
    """One run of the job: what for, its wall-clock time in seconds, and its peak resident memory in megabytes."""

    name: str
    seconds: float
    peak_mb: float
    documents: int


def fill(options: argparse.Namespace, running: Servers, progress: Progress) -> None:
    """Fill the database: dimensions, streaming collections, and models as of the last day's end.

    Raises:
        StackError: A job failed.
    """
    events = backlog.make(running, options.events, options.days, options.seed, progress)
    backlog.produce(running, events, TOPIC, 0, progress)
    drain(running, options.events, progress)
    as_of = f"{Settings.start + timedelta(days=options.days)}T00:00:00Z"
    for job in TRAINING if options.models else ():
        train(running, job, as_of)
        progress.say(f"{job} as of {as_of}")


def add_hour(options: argparse.Namespace, running: Servers, progress: Progress) -> None:
    """Let another hour's events arrive, from the day after the others."""
    start = Settings.start + timedelta(days=options.days)
    events = backlog.events_file(running, HOUR_EVENTS, 1, options.seed + _HOUR_SEED, progress, start)
    backlog.produce(running, events, TOPIC, 0, progress)
    drain(running, options.events + HOUR_EVENTS, progress)


def drain(running: Servers, events: int, progress: Progress) -> None:
    """Run the streaming application until it has written all records of the topic."""
    environ = running.environ("stream", TOPIC)
    query = Query(checkpoint(Path(environ["SHOPSTREAM_DATA_DIR"]), "stream"))
    with ending(running.start_job("spark_jobs.jobs.stream", environ=environ, log="stream")) as driver:
        await_drained("stream", [query], events, driver, 1800, progress, lambda: usage(driver.pid).cpu_seconds)
    progress.say(f"the stream has written {events:,} records")


def train(running: Servers, job: str, as_of: str) -> None:
    """Run one job of `train_models`; one that finds too little history is skipped."""
    child = running.start_job(f"spark_jobs.jobs.{job}", f"--as-of={as_of}", environ=running.environ("stream", TOPIC))
    with ending(child):
        try:
            child.wait()
        except StackError as error:
            if f"status {_EXIT_SKIPPED}:" not in str(error):
                raise


def check(running: Servers, name: str, *arguments: str) -> Check:
    """Run the validation once.

    Raises:
        StackError: It failed.
    """
    run_id = name.replace(" ", "-")
    log = running.folder / "logs" / f"validate-{run_id}.log"
    command = [str(running.stack.settings.spark_python), "-m", "spark_jobs.jobs.validate", f"--run-id={run_id}"]
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            env=running.environ("stream", TOPIC),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        # Only the kernel knows the peak; it tells whoever waits for the process.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        raise StackError(f"the validation ended with status {process.returncode} (log: {log})")
    results = list(running.db["data_quality_results"].find({"run_id": run_id}))
    if broken := [f"{one['collection']}: {one['error']}" for one in results if one["error"]]:
        raise StackError(f"not everything could be checked: {'; '.join(broken)}")
    documents = sum(one["checked_documents"] for one in results)
    return Check(name, seconds, used.ru_maxrss * 1024 / 1e6, documents)


def report(events: int, store: str, checks: list[Check]) -> str:
    """Return the report: what was checked, how long it took, how much memory it needed; the hourly run is judged."""
    rows = [["", "documents checked", "seconds", "peak memory, MB"]]
    rows += [[one.name, f"{one.documents:,}", f"{one.seconds:.1f}", f"{one.peak_mb:,.0f}"] for one in checks]
    hourly = next(one for one in checks if one.name == HOURLY)
    outcome = "reached" if hourly.seconds <= TARGET_SECONDS else "missed"
    return (
        f"{os.cpu_count()} cores, {events:,} events in the database, document store {store}\n\n{table(rows)}\n"
        f"{HOURLY} {hourly.seconds:.1f} s (target {TARGET_SECONDS:.0f}, {outcome})"
    )


def parser() -> Parser:
    """Return the command line."""
    options = Parser("benchmarks.quality", __doc__, events=1_000_000)
    add = options.add_argument
    add("--days", type=count, default=20, metavar="D", help="days the events are spread over (default %(default)s)")
    add("--no-models", dest="models", action="store_false", help="train no models: only the stream's collections")
    return options


def main() -> int:
    """Run the command; returns 0 when everything was measured."""
    options = parser().parse_args()
    with servers(options.store, options.keep) as running:
        progress = Progress()
        fill(options, running, progress)
        checks = [check(running, "first run")]
        progress.say(f"first run: {checks[0].seconds:.1f} s")
        add_hour(options, running, progress)
        checks += [check(running, HOURLY), check(running, "everything on demand", "--whole")]
        print(f"\n{report(options.events + HOUR_EVENTS, running.store, checks)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
