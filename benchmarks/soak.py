"""Runs the streaming application for a long time and says whether anything grows with its age.

Events of many simulated days pass through it as quickly as it takes them, with a bounded backlog. Exit status: 0 when
everything is flat, 1 when something grows or the run failed. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from benchmarks import backlog
from benchmarks.baselines import checkpoint
from benchmarks.options import Parser, count, run
from benchmarks.processes import Child, usage
from benchmarks.samples import NAMES, Sample, heap_after_collection, sample, trends, verdict
from benchmarks.servers import Servers, ending, servers
from embedded.config import home_of
from embedded.errors import StackError
from embedded.progress import Progress
from spark_jobs.events.producing import Outbox, producer
from spark_jobs.events.record import Record, encoder
from spark_jobs.events.replay import send
from spark_jobs.events.source import rows

TOPIC = "customer_events"
_EVENTS_PER_DAY = 100_000
# Two micro-batches: the stream never waits for the producer, and Kafka never holds much that is unread.
_BACKLOG = 100_000
_SAMPLE_SECONDS = 2.0
# People need fewer lines than the verdict needs samples.
_SAMPLES_PER_LINE = 5
_STALL_SECONDS = 300.0


class Soak:
    """One soak.

    Args:
        options: The command line.
        running: Servers.
        progress: Told how it goes.
    """

    def __init__(self, options: argparse.Namespace, running: Servers, progress: Progress) -> None:
        self._events: int = options.events
        self._days: int = options.days or max(1, options.events // _EVENTS_PER_DAY)
        self._seed: int = options.seed
        self._servers = running
        self._progress = progress
        self._environ = running.environ("soak", TOPIC)
        self._gc_log = running.folder / "logs" / "gc.log"
        self.samples: list[Sample] = []

    def run(self, table: IO[str]) -> None:
        """Stream all events and write the samples to `table` as CSV.

        Raises:
            StackError: The application has ended or makes no progress, or the producer failed.
        """
        file = backlog.make(self._servers, self._events, self._days, self._seed, self._progress)
        self._servers.create_topic(TOPIC)
        environ = {**self._environ, "SPARK_SUBMIT_OPTS": f"-Xlog:gc:file={self._gc_log}"}
        application = self._servers.start_job("spark_jobs.jobs.stream", environ=environ)
        with ending(application) as driver, self._producing(file) as failures:
            self._watch(driver, failures, table)

    def _watch(self, driver: Child, failures: list[BaseException], table: IO[str]) -> None:
        writer = csv.writer(table)
        writer.writerow(NAMES)
        self._progress.say(" ".join(NAMES))
        began = moved = time.monotonic()
        while not self.samples or self.samples[-1].events < self._events:
            due = began + len(self.samples) * _SAMPLE_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))
            driver.require_alive()
            if failures:
                raise StackError(f"the producer failed: {failures[0]}")
            before = self.samples[-1] if self.samples else None
            self.samples.append(self._sample(driver, time.monotonic() - began, before))
            writer.writerow(self.samples[-1].cells())
            table.flush()
            if len(self.samples) % _SAMPLES_PER_LINE == 1:
                self._progress.say(" ".join(cell or "-" for cell in self.samples[-1].cells()))
            if before is None or self.samples[-1].events > before.events:
                moved = time.monotonic()
            if time.monotonic() - moved > _STALL_SECONDS:
                raise StackError(f"the stream makes no progress for {_STALL_SECONDS:.0f} s: {driver.last_words()}")

    def _sample(self, driver: Child, seconds: float, before: Sample | None) -> Sample:
        document = self._servers.db["stream_health"].find_one({"_id": "driver"}) or {}
        log = self._gc_log.read_text() if self._gc_log.exists() else ""
        folder = checkpoint(Path(self._environ["SHOPSTREAM_DATA_DIR"]), "stream")
        return sample(seconds, before, document, usage(driver.pid), heap_after_collection(log), folder)

    @contextmanager
    def _producing(self, file: Path) -> Iterator[list[BaseException]]:
        """Send the file in a thread; yields a list that gets the exception that ends it too early."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                client = producer(self._servers.config("soak", TOPIC))
                try:
                    send(Outbox(client, TOPIC), self._throttled(file, stop), lambda _number: None, 0)
                finally:
                    client.close()
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield failures
        finally:
            stop.set()
            thread.join()

    def _throttled(self, file: Path, stop: threading.Event) -> Iterator[tuple[int, Record]]:
        """Read the file's records, never more than the backlog ahead of the stream."""
        encode = encoder("soak")
        done = 0
        health = self._servers.db["stream_health"]
        for number, row in enumerate(rows(file), start=1):
            while number - done > _BACKLOG and not stop.wait(0.2):
                driver = health.find_one({"_id": "driver"}) or {}
                done = driver.get("accepted", 0) + driver.get("dead_lettered", 0)
            if stop.is_set():
                return
            yield number, encode(number, row)


def parser() -> Parser:
    """Return the command line."""
    options = Parser("benchmarks.soak", __doc__, events=5_000_000)
    options.add_argument(
        "--days", type=count, metavar="D", help=f"simulated days (default: one for every {_EVENTS_PER_DAY:,} events)"
    )
    options.add_argument(
        "--csv", type=Path, metavar="PATH", help="file for the samples (default: one in SHOPSTREAM_HOME/benchmarks)"
    )
    return options


def main() -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args()
    path: Path = options.csv or home_of(os.environ) / "benchmarks" / f"soak-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as table, servers(options.store, options.keep) as running:
        soak = Soak(options, running, Progress())
        soak.run(table)
    found = trends(soak.samples)
    print(f"\n{soak.samples[-1].events:,} events, {len(soak.samples)} samples in {path}\n{verdict(found)}")
    growing = [name for name, one in found.items() if one.grows]
    if growing:
        print(f"error: grows with the stream's age: {', '.join(growing)} (look at {path})", file=sys.stderr)
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(run(main))
