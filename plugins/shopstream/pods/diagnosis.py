"""What the state of a pod means, in words. Pure: the pod as the API shows it (camelCase) in, judgements out."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Pod = Mapping[str, Any]

SIGNALS = 128
_KNOWN_SIGNALS = frozenset(one.value for one in signal.Signals)
KILLED = SIGNALS + 9
TERMINATED = SIGNALS + 15

# A container that waits for one of these waits for a person.
_WAITS_FOR_A_PERSON = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
)

# A pod that is being deleted for so much longer than it was given is on a node that does not answer.
LOST_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class End:
    """How a container ended.

    Attributes:
        status: Its exit status; the negative signal number where a signal ended it.
        fault: What ended it from outside, in words; None where it ended by itself.
    """

    status: int
    fault: str | None = None


def name_of(pod: Pod) -> str:
    """Return what people find the pod by: `pod namespace/name`."""
    return f"pod {pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"


def end_of(pod: Pod, container: str) -> End | None:
    """Return how a container of the pod ended, or None while it has not.

    Args:
        pod: The pod.
        container: Name of the container.
    """
    ended = (_status(pod, container).get("state") or {}).get("terminated")
    if ended is None:
        # An evicted pod, or one past its deadline, may have lost its containers' states.
        if (pod.get("status") or {}).get("phase") == "Failed":
            return End(-9, _from_outside(pod) or "failed before its container started")
        return None
    code = int(ended["exitCode"])
    # 255 is a status of its own, and no signal's.
    status = SIGNALS - code if code - SIGNALS in _KNOWN_SIGNALS else code
    if ended.get("reason") == "OOMKilled" and code != 0:
        return End(status, f"was killed for its memory: more than its limit of {memory_limit(pod, container)}")
    return End(status, _from_outside(pod) if code in (KILLED, TERMINATED) else None)


def waits_for(pod: Pod, container: str) -> str | None:
    """Return what a pod waits for that has not started, or None once its container runs or has ended.

    Args:
        pod: The pod.
        container: Name of the container.
    """
    state = _status(pod, container).get("state") or {}
    # The phase of a pod lags behind the end of a short-lived container.
    if (pod.get("status") or {}).get("phase") != "Pending" or state.get("terminated"):
        return None
    waiting = state.get("waiting") or {}
    if waiting.get("reason") in _WAITS_FOR_A_PERSON:
        image = next((one["image"] for one in _containers(pod) if one["name"] == container), "?")
        return f"{waiting['reason']}: {waiting.get('message') or 'no message'} (image {image})"
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"no node takes it: {condition.get('message') or condition.get('reason') or 'no reason given'}"
    return str(waiting.get("reason") or "a node, or for its container to be created")


def is_hopeless(pod: Pod, container: str) -> bool:
    """Whether a pod that has not started waits for a person to change something."""
    waiting = (_status(pod, container).get("state") or {}).get("waiting") or {}
    return waiting.get("reason") in _WAITS_FOR_A_PERSON


def is_lost(deleted_at: datetime | None, now: datetime) -> bool:
    """Whether a pod was to be deleted, and its node has not confirmed it in time.

    Args:
        deleted_at: The pod's deletion time stamp, which has its grace period in it; None where nobody deletes it.
        now: The moment of the check.
    """
    return deleted_at is not None and now - deleted_at > LOST_AFTER


def memory_limit(pod: Pod, container: str) -> str:
    """Return the memory limit of a container, as the pod states it."""
    found = (one for one in _containers(pod) if one["name"] == container)
    return str(((next(found, {}).get("resources") or {}).get("limits") or {}).get("memory") or "the node's memory")


def _from_outside(pod: Pod) -> str | None:
    """Return what ended the pod that was not the job itself."""
    status = pod.get("status") or {}
    if status.get("reason") == "DeadlineExceeded":
        return f"ran longer than its deadline of {pod['spec'].get('activeDeadlineSeconds')} s"
    if reason := next((one for one in (status.get("reason"), *_disruptions(pod)) if one), None):
        message = f": {status['message']}" if status.get("message") else ""
        return f"was ended by the cluster: {reason}{message} (node {pod['spec'].get('nodeName')})"
    if pod["metadata"].get("deletionTimestamp"):
        return "was deleted from outside (a node drained, or somebody with kubectl)"
    return None


def _disruptions(pod: Pod) -> Iterator[str]:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            yield f"{condition.get('reason')}: {condition.get('message')}"


def _status(pod: Pod, container: str) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((one for one in statuses if one["name"] == container), {})


def _containers(pod: Pod) -> list[Mapping[str, Any]]:
    return list(pod["spec"]["containers"])
