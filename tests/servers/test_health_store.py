"""What `streaming_lifecycle` keeps in `stream_health`, on a real document store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.servers import servers
from benchmarks.store import AUTO
from shopstream.config import Config
from shopstream.streaming.decision import Launches, Step
from shopstream.streaming.store import HealthStore

MIDNIGHT = datetime(2025, 1, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def store() -> Iterator[HealthStore]:
    with servers(AUTO) as running, HealthStore(Config.from_env(running.environ("health"))) as opened:
        yield opened


def check(store: HealthStore, minute: int, step: Step) -> None:
    document = {"healthy": False, "problems": [], "figures": {}, "action": step.value, "run_id": "scheduled"}
    store.write_check(MIDNIGHT + timedelta(minutes=minute), document)


def test_launches_are_counted_however_many_checks_lie_between(store: HealthStore) -> None:
    assert store.launches() == Launches()
    for minute, step in enumerate((Step.LAUNCH, Step.NOTHING, Step.LAUNCH)):
        check(store, minute, step)
    assert store.launches() == Launches(1, MIDNIGHT + timedelta(minutes=2))
    for launch in range(1, 5):
        for minute in range(1, 60):
            check(store, 60 * launch + minute, Step.BACK_OFF)
        check(store, 60 * (launch + 1), Step.RELAUNCH)
    assert store.launches() == Launches(5, MIDNIGHT + timedelta(hours=5))
