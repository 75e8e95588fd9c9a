"""What the streaming application's health means. Pure: facts and limits in, problems out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shopstream.config import StreamLimits


class Cure(StrEnum):
    """What helps against a problem."""

    LAUNCH = "launch"
    RELAUNCH = "relaunch"
    WAIT = "wait"
    NONE = "none"


COUNTERS = ("accepted", "dead_lettered", "lost_records", "late_events", "duplicates")
# Every record that was read is counted by one of these.
_FATES = ("accepted", "dead_lettered", "lost_records")


@dataclass(frozen=True)
class Problem:
    """One reason why the application is not healthy.

    Attributes:
        kind: Short name, stable: absent, dead, failed, ending, starting, not_started, heartbeat, query, batch, lag,
            offsets, books, outdated.
        message: What is wrong, with figures.
        cure: What helps.
    """

    kind: str
    message: str
    cure: Cure


@dataclass(frozen=True)
class Heartbeat:
    """The document `_id: "driver"` of `stream_health`, as the driver writes it.

    Attributes:
        pid: Process id of the driver.
        host: Name of its machine.
        state: starting, running, stopped or failed.
        error: Why it failed.
        config_hash: Fingerprint of configuration and code it was launched with.
        started_at: When it started.
        updated_at: When it wrote this.
        last_batch_id: Number of the last micro-batch that ended.
        last_batch_at: When it ended; None before the first.
        batch_seconds: How long it took.
        trigger_seconds: Interval between micro-batches; 1 until the driver says.
        end_offsets: Next offset to read, by partition; empty until known.
        queries: Name of each query, and whether it is active.
        counters: Totals since the checkpoint began: accepted, dead_lettered, lost_records, late_events, duplicates;
            empty until known.
        records: Records read since the checkpoint began.
        previous_error: Why the driver before this one failed; None where that one did not say.
    """

    pid: int
    host: str
    state: str
    error: str | None
    config_hash: str | None
    started_at: datetime
    updated_at: datetime
    last_batch_id: int | None = None
    last_batch_at: datetime | None = None
    batch_seconds: float = 0.0
    trigger_seconds: float = 1.0
    end_offsets: Mapping[int, int] = field(default_factory=dict)
    queries: Mapping[str, bool] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    records: int = 0
    previous_error: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Heartbeat:
        """Read the document; fields that a starting driver does not know yet may be missing or null."""
        first, last = document.get("start_offsets") or {}, document.get("end_offsets") or {}
        return cls(
            pid=int(document["pid"]),
            host=str(document.get("host") or ""),
            state=str(document["state"]),
            error=document.get("error"),
            config_hash=document.get("config_hash"),
            started_at=document["started_at"],
            updated_at=document["updated_at"],
            last_batch_id=document.get("last_batch_id"),
            last_batch_at=document.get("last_batch_at"),
            batch_seconds=float(document.get("batch_duration_ms") or 0) / 1000,
            trigger_seconds=float(document.get("trigger_seconds") or 1),
            end_offsets={int(key): int(value) for key, value in last.items()},
            queries={str(query["name"]): bool(query["active"]) for query in document.get("queries") or ()},
            counters={name: int(document[name]) for name in COUNTERS if document.get(name) is not None},
            records=sum(offset - first.get(partition, 0) for partition, offset in last.items()),
            previous_error=document.get("previous_error"),
        )


@dataclass(frozen=True)
class Lag:
    """How far the stream is behind the topic.

    Attributes:
        events: Records it has not read.
        seconds: Age of the oldest of them.
        ahead: Partitions where the stream's position lies beyond the topic's end, with both offsets.
    """

    events: int
    seconds: float = 0.0
    ahead: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What was found out about the application at one moment.

    Attributes:
        now: The moment.
        driver_started_at: When the living driver was started; None where there is none.
        heartbeat: The newest heartbeat of the living driver; where there is none, of the last one.
        wanted_hash: Fingerprint that a driver launched now would get.
        lag: None where the stream's position is not known yet.
    """

    now: datetime
    driver_started_at: datetime | None
    heartbeat: Heartbeat | None
    wanted_hash: str
    lag: Lag | None = None


def judge(facts: Facts, limits: StreamLimits) -> list[Problem]:
    """Judge the application.

    Args:
        facts: What was found out.
        limits: The bounds of health.

    Returns:
        Every problem found; none means healthy. Lag alone never asks for a relaunch: while micro-batches end, a
        relaunch would only cost time.
    """
    if facts.driver_started_at is None:
        return [_gone(facts)]
    heartbeat = facts.heartbeat
    if heartbeat is None or heartbeat.state == "starting":
        return [_starting((facts.now - facts.driver_started_at).total_seconds(), limits)]
    if heartbeat.state == "failed":
        return [Problem("failed", f"the driver failed: {heartbeat.error or 'it did not say why'}", Cure.RELAUNCH)]
    if heartbeat.state == "stopped":
        return [Problem("ending", "the driver has stopped its queries but its process lives", Cure.RELAUNCH)]
    found = [
        _stale(facts, heartbeat, limits),
        _no_batch(facts, heartbeat, limits),
        _outdated(facts, heartbeat),
        _books(heartbeat),
    ]
    return [*_dead_queries(heartbeat), *(problem for problem in found if problem), *_lag(facts.lag, limits)]


def _gone(facts: Facts) -> Problem:
    heartbeat = facts.heartbeat
    if heartbeat is None:
        return Problem("absent", "no driver has been started yet", Cure.LAUNCH)
    if heartbeat.state == "stopped":
        return Problem("absent", f"the driver was stopped {_ago(facts.now, heartbeat.updated_at)}", Cure.LAUNCH)
    if heartbeat.state == "failed":
        return Problem("failed", f"the driver failed: {heartbeat.error or 'it did not say why'}", Cure.LAUNCH)
    last = _ago(facts.now, heartbeat.updated_at)
    return Problem(
        "dead", f"the driver (process {heartbeat.pid}) is gone without a word; last heartbeat {last}", Cure.LAUNCH
    )


def _starting(age: float, limits: StreamLimits) -> Problem:
    if age <= limits.start_seconds:
        return Problem("starting", f"the driver was started {age:.0f} s ago and is not running yet", Cure.WAIT)
    return Problem(
        "not_started",
        f"the driver is not running {age:.0f} s after its start (limit {limits.start_seconds} s)",
        Cure.RELAUNCH,
    )


def _stale(facts: Facts, heartbeat: Heartbeat, limits: StreamLimits) -> Problem | None:
    age = (facts.now - heartbeat.updated_at).total_seconds()
    limit = limits.stall_triggers * heartbeat.trigger_seconds
    if age <= limit:
        return None
    text = f"the last heartbeat is {age:.0f} s old (limit {limit:.0f} s = {limits.stall_triggers} triggers)"
    return Problem("heartbeat", text, Cure.RELAUNCH)


def _no_batch(facts: Facts, heartbeat: Heartbeat, limits: StreamLimits) -> Problem | None:
    """Find a stream that has records to read and does not finish micro-batches. An idle stream owes none."""
    if facts.lag is None or facts.lag.events == 0:
        return None
    last = heartbeat.last_batch_at
    age = (facts.now - (last or heartbeat.started_at)).total_seconds()
    # A batch that is three times as long as the one before is slow; beyond that nothing may be going on any more.
    limit = max(limits.stall_triggers * heartbeat.trigger_seconds, 3 * heartbeat.batch_seconds)
    if last is None:
        limit = max(limit, limits.first_batch_seconds)
    if age <= limit:
        return None
    since = f"since batch {heartbeat.last_batch_id}" if last else "since the start"
    text = f"no micro-batch has ended for {age:.0f} s {since} (limit {limit:.0f} s), {facts.lag.events} events wait"
    return Problem("batch", text, Cure.RELAUNCH)


def _outdated(facts: Facts, heartbeat: Heartbeat) -> Problem | None:
    if heartbeat.config_hash == facts.wanted_hash:
        return None
    running, wanted = (heartbeat.config_hash or "none")[:12], facts.wanted_hash[:12]
    text = f"configuration or code has changed ({running} runs, {wanted} is wanted)"
    return Problem("outdated", text, Cure.RELAUNCH)


def _books(heartbeat: Heartbeat) -> Problem | None:
    """Find records that were read and went nowhere. Offsets and counters come from one write, so they always match."""
    if not heartbeat.counters:
        return None
    counted = sum(heartbeat.counters.get(name, 0) for name in _FATES)
    if counted == heartbeat.records:
        return None
    text = f"{heartbeat.records} records were read, but {counted} are accepted, dead-lettered or on record as lost"
    return Problem("books", text, Cure.NONE)


def _dead_queries(heartbeat: Heartbeat) -> list[Problem]:
    dead = [name for name, active in heartbeat.queries.items() if not active]
    return [Problem("query", f"query {name} is dead while the driver says it runs", Cure.RELAUNCH) for name in dead]


def _lag(lag: Lag | None, limits: StreamLimits) -> list[Problem]:
    if lag is None:
        return []
    found = []
    if lag.events > limits.lag_events:
        found.append(Problem("lag", f"{lag.events} events behind the topic (limit {limits.lag_events})", Cure.NONE))
    if lag.seconds > limits.lag_seconds:
        text = f"the oldest unread event is {lag.seconds:.0f} s old (limit {limits.lag_seconds} s)"
        found.append(Problem("lag", text, Cure.NONE))
    for partition, (position, end) in lag.ahead.items():
        text = f"partition {partition} ends at {end}, the stream is at {position}: topic recreated, or data lost"
        found.append(Problem("offsets", text, Cure.NONE))
    return found


def _ago(now: datetime, then: datetime) -> str:
    seconds = (now - then).total_seconds()
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
