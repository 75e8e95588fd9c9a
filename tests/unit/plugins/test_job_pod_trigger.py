import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.triggers.base import TriggerEvent

from shopstream.triggers import job_pod
from shopstream.triggers.job_pod import JobPodTrigger


@pytest.fixture
def trigger(monkeypatch: pytest.MonkeyPatch) -> JobPodTrigger:
    """A trigger whose pod has ended before it was looked at."""

    async def ended(self: KubernetesPodTrigger) -> AsyncIterator[TriggerEvent]:
        self._fired_event = True
        yield TriggerEvent({"status": "failed"})  # type: ignore[no-untyped-call]

    monkeypatch.setattr(KubernetesPodTrigger, "run", ended)
    return JobPodTrigger("features-abc", "shop", datetime.now(UTC), "job")


async def events(trigger: JobPodTrigger) -> list[dict[str, Any]]:
    return [event.payload async for event in trigger.run()]


def test_it_does_not_fire_before_airflow_can_bear_it(trigger: JobPodTrigger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_pod, "LEAST_SECONDS", 0.3)
    began = time.monotonic()
    assert asyncio.run(events(trigger)) == [{"status": "failed"}]
    assert time.monotonic() - began >= 0.3
    assert trigger._fired_event


def test_the_pod_of_a_task_that_is_ended_meanwhile_is_still_deleted(trigger: JobPodTrigger) -> None:
    async def ended_meanwhile() -> None:
        waiting = asyncio.create_task(events(trigger))
        await asyncio.sleep(0.1)
        waiting.cancel()

    asyncio.run(ended_meanwhile())
    # What `on_kill` asks.
    assert not trigger._fired_event
