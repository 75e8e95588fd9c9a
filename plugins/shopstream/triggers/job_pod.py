"""Waits for the pod of a batch job, and shows the job's output meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager
from airflow.triggers.base import TriggerEvent
from kubernetes.client.models import V1Pod

from shopstream.joblog import JobLog
from shopstream.pods.diagnosis import is_lost
from shopstream.pods.logs import seconds_since, show

# Airflow notices within five seconds (workers.min_heartbeat_interval) that a process which has deferred is gone, and
# its scheduler hears of it in one of the next loops. If the task runs again before that, the old process's end is taken
# for the new one's, and the task fails: https://github.com/apache/airflow/issues/72716
LEAST_SECONDS = 15.0


class JobPodTrigger(KubernetesPodTrigger):
    """Waits as `KubernetesPodTrigger` does, but

    - shows lines as the local runtime does: with the job's own levels, without credentials, each once;
    - gives a pod up that its node has lost;
    - never fires sooner than Airflow can bear (`LEAST_SECONDS`): a short job's pod may have ended already.

    Its event says only that there is something to see: the operator looks at the pod itself.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return this class and its arguments."""
        return f"{JobPodTrigger.__module__}.{JobPodTrigger.__qualname__}", super().serialize()[1]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when there is something to see."""
        began = time.monotonic()
        async for event in super().run():
            # Whoever ends the task before the event is out still has its pod deleted: see `on_kill`.
            self._fired_event = False
            await asyncio.sleep(LEAST_SECONDS - (time.monotonic() - began))
            self._fired_event = True
            yield event

    @cached_property
    def pod_manager(self) -> AsyncPodManager:
        """What reads pods and logs."""
        return _JobPodManager(async_hook=self.hook)

    def define_pod_container_state(self, pod: V1Pod) -> ContainerState:
        """Return the state of the job's container; a lost one has failed."""
        if is_lost(pod.metadata.deletion_timestamp, datetime.now(UTC)):
            return ContainerState.FAILED
        return super().define_pod_container_state(pod)


class _JobPodManager(AsyncPodManager):
    def __init__(self, async_hook: AsyncKubernetesHook) -> None:
        super().__init__(async_hook=async_hook)
        self._output = JobLog()

    async def fetch_container_logs_before_current_sec(  # type: ignore[override]  # a finer time stamp
        self, pod: V1Pod, container_name: str, since_time: str | None = None
    ) -> str | None:
        """Show the lines after `since_time`; returns the time stamp of the last one."""
        lines = await self._hook.read_logs(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            container_name=container_name,
            since_seconds=seconds_since(since_time, datetime.now(UTC)),
        )
        # Many lines take a while; other tasks wait in the same loop.
        return await asyncio.to_thread(show, lines, since_time, self._output)
