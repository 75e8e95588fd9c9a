"""What `streaming_lifecycle` keeps in `stream_health`, on a real document store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.servers import Servers
from shopstream.config import Config
from shopstream.streaming.decision import Launches, Step
from shopstream.streaming.store import HealthStore
from spark_jobs.streaming.heartbeat import Heartbeat

MIDNIGHT = datetime(2025, 1, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(running: Servers) -> Iterator[HealthStore]:
    with HealthStore(Config.from_env(running.environ("health"))) as opened:
        yield opened


def check(store: HealthStore, minute: int, step: Step) -> None:
    figures = {"driver": "process 1", "batch_seconds": 0.1}
    document = {"healthy": False, "problems": [], "figures": figures, "action": step.value, "run_id": "scheduled"}
    store.write_check(MIDNIGHT + timedelta(minutes=minute), document)


def test_launches_are_counted_however_many_checks_lie_between(store: HealthStore) -> None:
    assert store.launches() == Launches()
    for minute, step in enumerate((Step.LAUNCH, Step.NOTHING, Step.LAUNCH)):
        check(store, minute, step)
    assert store.launches() == Launches(1, MIDNIGHT + timedelta(minutes=2), MIDNIGHT + timedelta(minutes=2))
    for launch in range(1, 5):
        for minute in range(1, 60):
            check(store, 60 * launch + minute, Step.BACK_OFF)
        check(store, 60 * (launch + 1), Step.RELAUNCH)
    assert store.launches() == Launches(5, MIDNIGHT + timedelta(hours=5), MIDNIGHT + timedelta(minutes=2))


def test_a_driver_tells_why_the_one_before_failed(running: Servers, store: HealthStore) -> None:
    Heartbeat(running.db, trigger_seconds=2).state("failed", "a bad batch")
    Heartbeat(running.db, trigger_seconds=2).state("running")
    found = store.heartbeat()
    assert found
    assert (found.state, found.error, found.previous_error) == ("running", None, "a bad batch")
    Heartbeat(running.db, trigger_seconds=2)
    after = store.heartbeat()
    assert after
    assert after.previous_error is None
