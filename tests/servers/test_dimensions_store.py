"""Whether events find dimensions that were just published, on a real document store."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.servers import Servers
from spark_jobs.streaming.dimension_versions import await_use, current, publish


def heartbeat(running: Servers, state: str, dimensions: str | None, age: timedelta = timedelta()) -> None:
    document: dict[str, Any] = {"state": state, "dimensions": dimensions, "updated_at": datetime.now(UTC) - age}
    running.db["stream_health"].replace_one({"_id": "driver"}, document, upsert=True)


def test_a_stream_that_does_not_run_keeps_nobody_waiting(running: Servers) -> None:
    publish(running.db, {"products": "1", "users": "1"})
    assert await_use(running.db, seconds=0)
    heartbeat(running, "stopped", None)
    assert await_use(running.db, seconds=0)
    heartbeat(running, "running", "older", age=timedelta(minutes=5))
    assert await_use(running.db, seconds=0)


@pytest.mark.parametrize(("state", "dimensions"), [("running", "older"), ("starting", None)])
def test_a_stream_with_older_dimensions_is_waited_for(running: Servers, state: str, dimensions: str | None) -> None:
    publish(running.db, {"products": "2"})
    heartbeat(running, state, dimensions)
    assert not await_use(running.db, seconds=0)
    changeover = threading.Timer(0.2, heartbeat, (running, "running", current(running.db)))
    changeover.start()
    assert await_use(running.db, seconds=60)
    changeover.join()
