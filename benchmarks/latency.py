"""How long an event takes from its producer to MongoDB, while the stream is under a steady load.

Marked events are sent through Kafka among those of the load. An observer asks MongoDB for them by `_id`, every 20 ms,
and notes when each is there for the first time: the event itself, and the visit that it starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks.load import now
from benchmarks.processes import Child
from benchmarks.servers import Servers, ending
from embedded.errors import StackError
from embedded.progress import Progress
from spark_jobs.config import Config
from spark_jobs.events.producing import producer
from spark_jobs.events.record import encoder, event_id
from spark_jobs.events.topic import open_topic
from spark_jobs.streaming.visits import base_id

_SOURCE = "benchmark marker"
_ROW = ("view", "1004856", "2053013555631882655", "electronics.smartphone", "samsung", "130.76", "541312140")
_MARKERS_PER_SECOND = 20
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
_REPORT_SECONDS = 10.0
COLLECTIONS = ("enriched_events", "user_session_analytics")


@dataclass
class Markers:
    """Marked events on their way.

    Attributes:
        sent: When each `_id` of each collection was sent, for those that have not been seen yet.
        seconds: Latencies of those that have been seen, per collection.
    """

    sent: dict[str, dict[str, float]] = field(default_factory=lambda: {name: {} for name in COLLECTIONS})
    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in COLLECTIONS})

    def look(self, servers: Servers) -> None:
        """Ask for all that are on their way."""
        db = servers.db
        for name, pending in self.sent.items():
            if pending:
                found = [one["_id"] for one in db[name].find({"_id": {"$in": list(pending)}}, {"_id": 1})]
                seen = time.monotonic()
                self.seconds[name] += [seen - pending.pop(identity) for identity in found]


@dataclass(frozen=True)
class Latency:
    """Measured latencies in seconds per collection, at `rate` events/s (as sent, not as wanted)."""

    rate: float
    seconds: dict[str, list[float]]


def measure(
    servers: Servers,
    config: Config,
    events: Path,
    rate: float,
    seconds: tuple[float, float],
    driver: Child,
    progress: Progress,
) -> Latency:
    """Put a running stream under load and measure.

    Args:
        servers: The servers.
        config: Topic of the stream.
        events: File whose rows the load is made of.
        rate: Events per second of the load.
        seconds: How long the load runs before the measurement begins, and how long it is measured.
        driver: The streaming application.
        progress: Told how it goes.

    Raises:
        StackError: A process has ended, or a marked event does not arrive.
    """
    settle, measured = seconds
    markers = Markers()
    progress.say(f"live: {rate:,.0f} events/s for {settle:.0f} s + {measured:.0f} s")
    arguments = ("--file", str(events), "--rate", f"{rate:.0f}")
    environ = servers.environ("live", config.topic)
    with ending(servers.start_job("benchmarks.load", *arguments, environ=environ)) as load:
        time.sleep(settle)
        records = _records(config)
        began = time.monotonic()
        with _sending(config, markers, began + measured):
            _observe(servers, markers, [driver, load], began + measured, progress)
            sent = _records(config) - records
            reached = sent / (time.monotonic() - began)
        # The load goes on until the last marker is there: without it the tail would be quicker than the rest.
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(markers.sent.values()):
            _observe(servers, markers, [driver, load], time.monotonic() + 1.0, progress)
            if time.monotonic() > deadline:
                missing = {name: len(pending) for name, pending in markers.sent.items() if pending}
                raise StackError(f"live: not visible after {_PATIENCE_SECONDS:.0f} s: {missing}")
    return Latency(reached, markers.seconds)


def _records(config: Config) -> int:
    with open_topic(config) as topic:
        return sum(topic.offsets()[1].values())


def _observe(servers: Servers, markers: Markers, needed: list[Child], until: float, progress: Progress) -> None:
    reported = time.monotonic()
    while (moment := time.monotonic()) < until:
        markers.look(servers)
        for child in needed:
            child.require_alive()
        if moment - reported > _REPORT_SECONDS:
            reported = moment
            progress.say(f"live: {len(markers.seconds[COLLECTIONS[0]])} marked events seen")
        time.sleep(max(0.0, moment + _POLL_SECONDS - time.monotonic()))


@contextmanager
def _sending(config: Config, markers: Markers, until: float) -> Iterator[None]:
    """Send marked events from a thread of its own, so that a slow answer of MongoDB delays none."""
    client, encode = producer(config), encoder(_SOURCE)
    stop = threading.Event()

    def send() -> None:
        for number in count(1):
            if time.monotonic() > until or stop.wait(1 / _MARKERS_PER_SECOND):
                return
            session, moment = f"benchmark-{number}", now()
            key, value = encode(number, [moment, *_ROW, session])
            at = time.monotonic()
            client.send(config.topic, value, key=key)
            start = datetime.fromisoformat(moment.replace(" UTC", "")).replace(tzinfo=UTC)
            markers.sent["enriched_events"][event_id(_SOURCE, number)] = at
            markers.sent["user_session_analytics"][base_id(session, start)] = at

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
        thread.join()
    finally:
        stop.set()
        thread.join()
        client.close()
