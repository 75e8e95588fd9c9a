"""How far streaming queries are, read from their checkpoints: the same clock for every design, with no help of theirs.

A query notes in `offsets/N` when it began micro-batch N and up to where it reads, and writes `commits/N` when all of it
is done. The start of the JVM, of the session and of the query come before, and are not measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import Child
from embedded.errors import StackError
from embedded.progress import Progress

_POLL_SECONDS = 0.2
_REPORT_SECONDS = 5.0


@dataclass
class Query:
    """One query's way through a backlog.

    Attributes:
        checkpoint: Its checkpoint folder, which need not exist yet.
        started: When its first micro-batch with records began, in seconds since the epoch.
        committed: When its last finished micro-batch with new records ended.
        records: Records it has finished.
    """

    checkpoint: Path
    started: float | None = None
    committed: float | None = None
    records: int = 0
    _planned: dict[int, tuple[float, int]] = field(default_factory=dict)
    _finished: int = -1

    @property
    def running(self) -> bool:
        """Whether a micro-batch has begun and not been finished."""
        return bool(self._planned)

    def look(self) -> None:
        """Read what is new. Has to be called often: a query deletes its old notes."""
        for number, path in _numbered(self.checkpoint / "offsets"):
            if number not in self._planned and number > self._finished and (plan := _plan(path)):
                self._planned[number] = plan
        for number, path in _numbered(self.checkpoint / "commits"):
            if number > self._finished and number in self._planned:
                self._finish(number, path.stat().st_mtime)

    def _finish(self, number: int, ended: float) -> None:
        began, records = self._planned.pop(number)
        self._finished = number
        if records > self.records:
            self.started = self.started or began
            self.committed, self.records = ended, records


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((int(path.name), path) for path in paths if path.name.isdecimal())


def _plan(path: Path) -> tuple[float, int] | None:
    """Return when the micro-batch began and how many records the query has read at its end; None while half-written."""
    lines = path.read_text().splitlines()
    if len(lines) < 3:
        return None
    offsets = [count for topic in json.loads(lines[2]).values() for count in topic.values()]
    return json.loads(lines[1])["batchTimestampMs"] / 1000, sum(offsets)


@dataclass(frozen=True)
class Drained:
    """A measured drain: `events` in `seconds`, from the first micro-batch's beginning to the last one's end."""

    name: str
    events: int
    seconds: float
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def await_drained(
    name: str,
    queries: Sequence[Query],
    events: int,
    driver: Child,
    timeout: float,
    progress: Progress,
    cpu: Callable[[], dict[str, float]],
) -> Drained:
    """Wait until every query has finished all events.

    Args:
        name: Name of the measurement.
        queries: The queries.
        events: Records in the topic, which each query reads from its first record.
        driver: The process the queries run in.
        timeout: Seconds to wait at most.
        progress: Told now and then how far the slowest query is.
        cpu: Returns CPU seconds of the processes so far.

    Raises:
        StackError: The driver has ended, or the time is over.
    """
    deadline, reported = time.monotonic() + timeout, time.monotonic()
    at_start: dict[str, float] | None = None
    while (slowest := min(query.records for query in queries)) < events:
        driver.require_alive()
        for query in queries:
            query.look()
        if at_start is None and any(query.running for query in queries):
            at_start = cpu()
        if time.monotonic() > deadline:
            raise StackError(f"{name}: {slowest} of {events} events after {timeout:.0f} s: {driver.last_words()}")
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            progress.say(f"{name}: {slowest:,} of {events:,} events")
        time.sleep(_POLL_SECONDS)
    used = {program: seconds - (at_start or {}).get(program, 0.0) for program, seconds in cpu().items()}
    started = min(query.started or 0.0 for query in queries)
    ended = max(query.committed or 0.0 for query in queries)
    return Drained(name, events, ended - started, used)
