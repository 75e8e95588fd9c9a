from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopstream.config import StreamLimits
from shopstream.streaming.health import Cure, Facts, Heartbeat, Lag, judge

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
LIMITS = StreamLimits(
    stall_triggers=30, first_batch_seconds=300, lag_events=1000, lag_seconds=600, start_seconds=120, stop_seconds=60
)
HASH = "a" * 64


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


HEARTBEAT = Heartbeat(
    pid=4711,
    host="here",
    state="running",
    error=None,
    config_hash=HASH,
    started_at=ago(3600),
    updated_at=ago(1),
    last_batch_id=99,
    last_batch_at=ago(2),
    batch_seconds=1.0,
    trigger_seconds=2,
    end_offsets={0: 10},
    queries={"customer_events": True},
)
HEALTHY = Facts(NOW, ago(3600), HEARTBEAT, HASH, Lag(0, 0.0))


def facts(*, started: float | None = 3600, lag: Lag | None = HEALTHY.lag, **heartbeat: Any) -> Facts:
    return Facts(NOW, None if started is None else ago(started), replace(HEARTBEAT, **heartbeat), HASH, lag)


CASES = {
    # what happened: (facts, [(kind, cure, figure or word in the message)])
    "healthy": (HEALTHY, []),
    "idle for hours: an idle stream owes no batch": (facts(last_batch_at=ago(9999)), []),
    "never started": (replace(HEALTHY, driver_started_at=None, heartbeat=None), [("absent", Cure.LAUNCH, "yet")]),
    "stopped": (facts(started=None, state="stopped"), [("absent", Cure.LAUNCH, "stopped 1 s ago")]),
    "failed": (facts(started=None, state="failed", error="no topic"), [("failed", Cure.LAUNCH, "no topic")]),
    "failed without a word": (facts(started=None, state="failed"), [("failed", Cure.LAUNCH, "did not say")]),
    "killed": (facts(started=None, updated_at=ago(300)), [("dead", Cure.LAUNCH, "4711")]),
    "killed while starting": (facts(started=None, state="starting"), [("dead", Cure.LAUNCH, "1 s ago")]),
    "launched, no heartbeat yet": (
        replace(HEALTHY, driver_started_at=ago(20), heartbeat=None, lag=None),
        [("starting", Cure.WAIT, "20 s ago")],
    ),
    "starting": (facts(started=120, state="starting"), [("starting", Cure.WAIT, "120 s")]),
    "starting for too long": (facts(started=121, state="starting"), [("not_started", Cure.RELAUNCH, "limit 120 s")]),
    "every record accounted for": (
        facts(records=10, counters={"accepted": 6, "dead_lettered": 3, "lost_records": 1, "late_events": 6}),
        [],
    ),
    "a record went nowhere": (
        facts(records=10, counters={"accepted": 6, "dead_lettered": 3}),
        [("books", Cure.NONE, "10 records were read, but 9 are")],
    ),
    "failed, and its process lingers": (facts(state="failed", error="x"), [("failed", Cure.RELAUNCH, "x")]),
    "stopped, and its process lingers": (facts(state="stopped"), [("ending", Cure.RELAUNCH, "lives")]),
    "heartbeat at its limit": (facts(updated_at=ago(60)), []),
    "heartbeat too old": (facts(updated_at=ago(61)), [("heartbeat", Cure.RELAUNCH, "61 s old (limit 60 s")]),
    "trigger of 10 s: heartbeat may be older": (facts(updated_at=ago(299), trigger_seconds=10), []),
    "one query of two is dead": (
        facts(queries={"a": True, "b": False}),
        [("query", Cure.RELAUNCH, "query b is dead")],
    ),
    "no batch though events wait": (
        facts(last_batch_at=ago(61), lag=Lag(5, 61.0)),
        [("batch", Cure.RELAUNCH, "61 s since batch 99 (limit 60 s), 5 events wait")],
    ),
    "a slow batch gets three times the last one's time": (
        facts(last_batch_at=ago(90), batch_seconds=30.0, lag=Lag(5, 90.0)),
        [],
    ),
    "the first batch after a start takes long": (
        facts(started_at=ago(299), last_batch_at=None, lag=Lag(5, 90.0)),
        [],
    ),
    "the first batch takes too long": (
        facts(started_at=ago(301), last_batch_at=None, lag=Lag(5, 90.0)),
        [("batch", Cure.RELAUNCH, "since the start (limit 300 s)")],
    ),
    "position unknown: nothing to say about batches": (facts(last_batch_at=None, lag=None), []),
    "catching up: lag asks for no relaunch": (
        facts(lag=Lag(5000, 9000.0)),
        [("lag", Cure.NONE, "5000 events behind"), ("lag", Cure.NONE, "9000 s old (limit 600 s)")],
    ),
    "lag at its limits": (facts(lag=Lag(1000, 600.0)), []),
    "topic recreated": (
        facts(lag=Lag(0, 0.0, {1: (50, 7)})),
        [("offsets", Cure.NONE, "ends at 7, the stream is at 50")],
    ),
    "outdated": (facts(config_hash="b" * 64), [("outdated", Cure.RELAUNCH, "bbbbbbbbbbbb runs, aaaaaaaaaaaa")]),
    "started by hand, without a fingerprint": (facts(config_hash=None), [("outdated", Cure.RELAUNCH, "none runs")]),
    "everything at once": (
        facts(updated_at=ago(100), last_batch_at=ago(100), queries={"a": False}, config_hash="b", lag=Lag(2000, 700.0)),
        [
            ("query", Cure.RELAUNCH, "a"),
            ("heartbeat", Cure.RELAUNCH, "100 s"),
            ("batch", Cure.RELAUNCH, "2000 events"),
            ("outdated", Cure.RELAUNCH, "b runs"),
            ("lag", Cure.NONE, "2000"),
            ("lag", Cure.NONE, "700"),
        ],
    ),
}


@pytest.mark.parametrize(("found", "expected"), CASES.values(), ids=CASES.keys())
def test_judge(found: Facts, expected: list[tuple[str, Cure, str]]) -> None:
    problems = judge(found, LIMITS)
    assert [(problem.kind, problem.cure) for problem in problems] == [(kind, cure) for kind, cure, _ in expected]
    for problem, (_, _, words) in zip(problems, expected, strict=True):
        assert words in problem.message


def test_a_heartbeat_as_the_driver_writes_it() -> None:
    document = {
        "_id": "driver",
        "kind": "driver",
        "pid": 4711,
        "host": "here",
        "state": "running",
        "error": None,
        "config_hash": HASH,
        "started_at": ago(3600),
        "updated_at": ago(1),
        "last_batch_id": 99,
        "last_batch_at": ago(2),
        "batch_duration_ms": 1000,
        "trigger_seconds": 2,
        "start_offsets": {"0": 4},
        "end_offsets": {"0": 10},
        "accepted": 5,
        "dead_lettered": 1,
        "queries": [{"name": "customer_events", "active": True}],
        "watermark": None,
    }
    counters = {"accepted": 5, "dead_lettered": 1}
    assert Heartbeat.from_document(document) == replace(HEARTBEAT, counters=counters, records=6)


def test_the_first_heartbeat_of_a_starting_driver() -> None:
    document = {"pid": 1, "state": "starting", "started_at": NOW, "updated_at": NOW, "batch_duration_ms": None}
    heartbeat = Heartbeat.from_document(document)
    assert heartbeat.end_offsets == {}
    assert heartbeat.last_batch_at is None
    assert heartbeat.trigger_seconds == 1
