"""Pods and SparkApplications as the API shows them, and a cluster in memory that answers as the API does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from shopstream.config import ClusterConfig
from shopstream.pods.spark_application import DRIVER_CONTAINER, DRIVER_POD

Object = dict[str, Any]


def cluster_config(**changed: Any) -> ClusterConfig:
    """Settings of a cluster, as tests want them."""
    settings: dict[str, Any] = {
        "namespace": "shop",
        "spark_image": "shopstream-spark:1",
        "pull_policy": "Never",
        "start_seconds": 60,
        "executors": 2,
        "resources": {},
    }
    return ClusterConfig(**settings | changed)


def pod(
    phase: str = "Running",
    state: Mapping[str, Any] | None = None,
    *,
    name: str = "churn-x1",
    container: str = "job",
    metadata: Mapping[str, Any] | None = None,
    **status: Any,
) -> Object:
    """A pod of one container, whose state is `state` (`{"terminated": {"exitCode": 1}}`)."""
    limits = {"limits": {"memory": "2Gi"}}
    statuses = {"containerStatuses": [{"name": container, "state": dict(state)}]} if state else {}
    return {
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": stamp(0), **(metadata or {})},
        "spec": {
            "nodeName": "node-1",
            "activeDeadlineSeconds": 120,
            "containers": [{"name": container, "image": "spark:1", "resources": limits}],
        },
        "status": {"phase": phase, **statuses, **status},
    }


def ended(code: int, reason: str = "Error") -> Object:
    """The state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": reason}}


def waiting(reason: str, message: str = "") -> Object:
    """The state of a container that has not started."""
    return {"waiting": {"reason": reason, "message": message}}


def stamp(seconds: float) -> str:
    """A moment of a day long ago, as the API writes it."""
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ClusterStandIn:
    """A cluster with at most one application. What happens when one is created or deleted, `on_*` say."""

    def __init__(self) -> None:
        self.app: Object | None = None
        self.driver: Object | None = None
        self.executors: list[Object] = []
        self.log: list[str] = []
        self.calls: list[str] = []
        self.on_create: Callable[[], None] = lambda: None
        self.on_delete: Callable[[], None] = self.delete_pods
        self.on_poll: Callable[[], None] = lambda: None

    def state(self, state: str, error: str = "", **status: Any) -> None:
        """Set the application's state."""
        assert self.app
        self.app["status"] = {"applicationState": {"state": state, "errorMessage": error}, **status}

    def start_driver(self, seconds: float = 5, phase: str = "Running", state: Mapping[str, Any] | None = None) -> None:
        """Have a driver's pod."""
        labels = {"labels": {"spark-role": "driver"}, "creationTimestamp": stamp(seconds)}
        state = state or {"running": {}}
        self.driver = pod(phase, state, name=DRIVER_POD, container=DRIVER_CONTAINER, metadata=labels)

    def delete_pods(self) -> None:
        """What the garbage collector does."""
        self.driver, self.executors = None, []

    def application(self, _name: str) -> Object | None:
        self.on_poll()
        return self.app

    def create_application(self, body: Mapping[str, Any]) -> Object:
        self.calls.append("create")
        self.app = {**body, "metadata": {**body["metadata"], "creationTimestamp": stamp(0)}}
        self.on_create()
        return self.app

    def delete_application(self, _name: str) -> None:
        self.calls.append("delete")
        self.app = None
        self.on_delete()

    def pods(self, selector: str) -> list[Object]:
        self.on_poll()
        role = selector.rpartition("spark-role=")[2] if "spark-role" in selector else None
        drivers = [self.driver] if self.driver else []
        return (drivers if role != "executor" else []) + (self.executors if role != "driver" else [])

    def end_pod(self, name: str) -> None:
        self.calls.append(f"end {name}")

    def log_tail(self, _pod: str, _container: str, lines: int) -> list[str]:
        return self.log[-lines:]

    def warning_of(self, _pod: str) -> str | None:
        return None
