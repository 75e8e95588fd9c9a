from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes_stand_ins import ended, pod, stamp, waiting

from shopstream.pods.diagnosis import End, end_of, is_hopeless, is_lost, memory_limit, name_of, waits_for

EVICTED: dict[str, Any] = {"reason": "Evicted", "message": "The node was low on resource: memory."}
DISRUPTED = [
    {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API"}
]


@pytest.mark.parametrize(
    ("state", "status", "end"),
    [
        ({"running": {}}, {}, None),
        (waiting("ContainerCreating"), {}, None),
        (ended(0, "Completed"), {}, End(0)),
        (ended(2), {}, End(2)),
        (ended(99), {}, End(99)),
        (ended(1), {}, End(1)),
        (ended(137), {}, End(-9)),
        (ended(139), {}, End(-11)),
        # sys.exit(-1), or a node that was started again: no signal has that number.
        (ended(255), {}, End(255)),
        (ended(137, "OOMKilled"), {}, End(-9, "was killed for its memory: more than its limit of 2Gi")),
        # The kernel took the JVM, and Python ended for want of it.
        (ended(1, "OOMKilled"), {}, End(1, "was killed for its memory: more than its limit of 2Gi")),
        # A child that the job could do without.
        (ended(0, "OOMKilled"), {}, End(0)),
        (
            ended(143),
            {"conditions": DISRUPTED},
            End(-15, "was ended by the cluster: EvictionByEvictionAPI: Eviction API (node node-1)"),
        ),
        (ended(1), {"conditions": DISRUPTED}, End(1)),
    ],
)
def test_how_a_container_ended(state: dict[str, Any], status: dict[str, Any], end: End | None) -> None:
    assert end_of(pod("Running", state, **status), "job") == end


def test_a_pod_that_lost_its_containers_states() -> None:
    low = "was ended by the cluster: Evicted: The node was low on resource: memory. (node node-1)"
    assert end_of(pod("Failed", **EVICTED), "job") == End(-9, low)
    late = "ran longer than its deadline of 120 s"
    assert end_of(pod("Failed", reason="DeadlineExceeded"), "job") == End(-9, late)
    assert end_of(pod("Failed"), "job") == End(-9, "failed before its container started")
    assert end_of(pod("Pending"), "job") is None
    assert end_of(pod("Unknown"), "job") is None


def test_a_deleted_pod_says_so() -> None:
    end = end_of(pod("Running", ended(143), metadata={"deletionTimestamp": stamp(0)}), "job")
    assert end == End(-15, "was deleted from outside (a node drained, or somebody with kubectl)")


@pytest.mark.parametrize(
    ("given", "cause", "hopeless"),
    [
        (pod("Running", {"running": {}}), None, False),
        (pod("Pending", ended(2)), None, False),
        (
            pod("Pending", waiting("ErrImageNeverPull", "not present with pull policy of Never")),
            "ErrImageNeverPull: not present with pull policy of Never (image spark:1)",
            True,
        ),
        (pod("Pending", waiting("ImagePullBackOff")), "ImagePullBackOff: no message (image spark:1)", True),
        (
            pod("Pending", waiting("CreateContainerConfigError", 'secret "s" not found')),
            'CreateContainerConfigError: secret "s" not found (image spark:1)',
            True,
        ),
        (
            pod(
                "Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory"}],
            ),
            "no node takes it: 0/3 nodes: Insufficient memory",
            False,
        ),
        (
            pod("Pending", waiting("ContainerCreating"), conditions=[{"type": "PodScheduled", "status": "True"}]),
            "ContainerCreating",
            False,
        ),
        (pod("Pending"), "a node, or for its container to be created", False),
    ],
)
def test_what_a_pod_waits_for(given: dict[str, Any], cause: str | None, hopeless: bool) -> None:
    assert waits_for(given, "job") == cause
    assert is_hopeless(given, "job") is hopeless


def test_a_pod_is_lost_when_its_node_does_not_confirm_the_end() -> None:
    now = datetime.now(UTC)
    assert not is_lost(None, now)
    assert not is_lost(now + timedelta(seconds=30), now)
    assert not is_lost(now - timedelta(seconds=30), now)
    assert is_lost(now - timedelta(minutes=3), now)


def test_names() -> None:
    assert name_of(pod()) == "pod shop/churn-x1"
    assert memory_limit(pod(), "job") == "2Gi"
    assert memory_limit(pod(), "another") == "the node's memory"
