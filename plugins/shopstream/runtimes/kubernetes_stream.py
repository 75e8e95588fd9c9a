"""The streaming driver as a SparkApplication that the spark-operator keeps running."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from shopstream.config import ClusterConfig, Config
from shopstream.joblog import JobLog, redact
from shopstream.pods.application_state import Phase, has_failed_since, message_of, moment, phase_of, since, state_of
from shopstream.pods.diagnosis import Pod, end_of, name_of, waits_for
from shopstream.pods.spark_application import (
    DRIVER_CONTAINER,
    DRIVER_POD,
    DRIVER_ROLE,
    EXECUTOR_CONTAINER,
    EXECUTOR_ROLE,
    NAME,
    PODS,
    spark_application,
)
from shopstream.runtimes.base import Driver, JobRuntimeError
from shopstream.streaming.health import Heartbeat

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
REPORT_SECONDS = 10.0

# Lines of a driver's log that are searched for its last words.
LOG_LINES = 200

# Beyond the driver's own time: the operator and the garbage collector take notice, then executors go.
CLEAN_UP_SECONDS = 30.0


class ClusterApi(Protocol):
    """What the runtime needs of the cluster; see `shopstream.pods.api.Cluster`."""

    def application(self, name: str) -> dict[str, Any] | None:
        """Return the SparkApplication."""

    def create_application(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create it."""

    def delete_application(self, name: str) -> None:
        """Delete it."""

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return pods, oldest first."""

    def end_pod(self, name: str) -> None:
        """Have a pod killed at once."""

    def log_tail(self, pod: str, container: str, lines: int) -> list[str]:
        """Return the last lines of a container."""

    def warning_of(self, pod: str) -> str | None:
        """Return the newest warning about a pod."""


class KubernetesStreamRuntime:
    """Launches, finds and ends the application.

    There is never more than one driver: its pod has one name, the operator submits a new one only when the pod of the
    last one is gone, and `launch` creates an application only when no pod of another one is left.

    Args:
        config: Settings.
        cluster: The cluster; the one of the Airflow connection unless given.
    """

    def __init__(self, config: Config, cluster: ClusterApi | None = None) -> None:
        assert config.cluster  # noqa: S101  (for mypy: `Config` reads it for this runtime)
        self._config: ClusterConfig = config.cluster
        self._stop_seconds = config.stream.stop_seconds
        self._cluster = cluster or _connected(self._config)
        self._ending: list[str] = []

    def find(self, heartbeat: Heartbeat | None) -> Driver | None:  # noqa: ARG002  (the cluster knows better)
        """Return the driver: its living pod, or what the operator is about to start; None where it will start none."""
        application = self._cluster.application(NAME)
        if application is None or application["metadata"].get("deletionTimestamp"):
            return None
        state, phase = state_of(application), phase_of(application)
        if phase is Phase.OVER:
            log.info("SparkApplication %s is %s: %s", NAME, state, message_of(application) or "no message")
            return None
        self._tell_of_waiting_executors()
        pod = self._driver_pod()
        if phase is Phase.WORKING and pod and end_of(pod, DRIVER_CONTAINER) is None:
            return Driver(name_of(pod), moment(pod["metadata"]["creationTimestamp"]), host=DRIVER_POD)
        name = f"SparkApplication {self._config.namespace}/{NAME}, {state or 'not taken up by an operator yet'}"
        return Driver(name, since(application), host=DRIVER_POD)

    def launch(self, config_hash: str) -> Driver:
        """Create the application, once nothing of an earlier one is left."""
        if self._cluster.application(NAME) or self._cluster.pods(PODS):
            self._remove(self._stop_seconds)
        body = spark_application(self._config, config_hash, self._stop_seconds)
        created = self._cluster.create_application(body)
        log.info("Created SparkApplication %s/%s, image %s", self._config.namespace, NAME, self._config.spark_image)
        started = moment(created["metadata"]["creationTimestamp"])
        return Driver(f"SparkApplication {self._config.namespace}/{NAME}", started, host=DRIVER_POD)

    def wait(self, driver: Driver, seconds: float) -> bool:
        """Wait for the end of the driver; a new attempt that the operator makes after it is another driver."""
        deadline = time.monotonic() + seconds
        while not (over := self._is_over(driver)) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
        if over:
            # The operator deletes a failed driver's pod, and its log with it, before it starts the next one.
            self._ending = self._words()
        return over

    def stop(self, driver: Driver, seconds: float) -> str:
        """Delete the application: Kubernetes has the driver finish, and then ends what is left."""
        waited = self._remove(seconds)
        if waited <= seconds:
            return f"The driver ({driver.name}) finished its work and ended"
        return f"The driver ({driver.name}) did not finish within {seconds:.0f} s and was killed"

    def last_words(self, lines: int = 20) -> list[str]:
        """Return why the application is not running, and the last lines of its driver; the most telling one last."""
        return (self._ending or self._words())[-lines:]

    def _words(self) -> list[str]:
        words = []
        if application := self._cluster.application(NAME):
            state, message = state_of(application), message_of(application)
            if message or phase_of(application) is not Phase.WORKING:
                absent = "no state: is the spark-operator running, and does it watch this namespace?"
                words.append(f"SparkApplication {NAME}: {state or absent}{f': {message}' if message else ''}")
        pod = self._driver_pod()
        if pod is None:
            return words or ["(there is no driver pod)"]
        if waits := waits_for(pod, DRIVER_CONTAINER):
            causes = (waits, self._cluster.warning_of(DRIVER_POD))
            return [*words, f"{name_of(pod)} has not started: {'; '.join(cause for cause in causes if cause)}"]
        output = JobLog()
        for line in self._cluster.log_tail(DRIVER_POD, DRIVER_CONTAINER, LOG_LINES):
            output.read(line)
        words += [redact(line) for line in output.tail]
        end = end_of(pod, DRIVER_CONTAINER)
        # The JVM around the application has some words of its own after these.
        telling = (f"{name_of(pod)} {end.fault}" if end and end.fault else None, output.error)
        return [*words, *(text for text in telling if text)] or ["(nothing)"]

    def _driver_pod(self) -> Pod | None:
        return next(iter(self._cluster.pods(f"{PODS},spark-role={DRIVER_ROLE}")), None)

    def _tell_of_waiting_executors(self) -> None:
        for pod in self._cluster.pods(f"{PODS},spark-role={EXECUTOR_ROLE}"):
            if waits := waits_for(pod, EXECUTOR_CONTAINER):
                log.warning("Executor %s waits: %s", name_of(pod), waits)

    def _is_over(self, driver: Driver) -> bool:
        application = self._cluster.application(NAME)
        if application is None or phase_of(application) is Phase.OVER:
            return True
        return has_failed_since(application, driver.started_at)

    def _remove(self, seconds: float) -> float:
        """Delete the application and wait until none of its pods is left.

        Args:
            seconds: Time that the driver has to finish.

        Returns:
            Seconds until the driver's pod was gone.

        Raises:
            JobRuntimeError: A pod does not end: its node does not answer, and the driver may still be at work there.
        """
        self._cluster.delete_application(NAME)
        begun = time.monotonic()
        driver_gone, reported, forced = 0.0, 0.0, False
        while left := self._cluster.pods(PODS):
            waited = time.monotonic() - begun
            if any(pod["metadata"]["labels"].get("spark-role") == DRIVER_ROLE for pod in left):
                driver_gone = waited
            if waited - reported >= REPORT_SECONDS:
                log.info("Still ending, %.0f s: %s", waited, ", ".join(name_of(pod) for pod in left))
                reported = waited
            if waited > seconds + CLEAN_UP_SECONDS and not forced:
                for pod in left:
                    self._cluster.end_pod(pod["metadata"]["name"])
                forced = True
            if waited > seconds + 2 * CLEAN_UP_SECONDS:
                nodes = ", ".join(f"{name_of(pod)} on node {pod['spec'].get('nodeName')}" for pod in left)
                raise JobRuntimeError(
                    f"no end is confirmed of {nodes}: does the node answer? (no second driver is started)"
                )
            time.sleep(POLL_SECONDS)
        return driver_gone


def _connected(config: ClusterConfig) -> ClusterApi:
    # The client takes two seconds to import, which the local runtime need not pay.
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    from shopstream.pods.api import CONNECTION, Cluster

    return Cluster(KubernetesHook(conn_id=CONNECTION), config.namespace)
