"""What `make deploy-check` says the platform needs is what its files ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from helm_files import named, objects, pod_specs, values

from deploy.cluster import LARGEST_POD_MIB, NEEDED_CPU, NEEDED_MEMORY_MIB, cpus, mebibytes

# Found by the module path that helm_files completes.
from shopstream.resources import DEFAULTS  # isort: skip

# Task pods that wait for a wave of training: its six jobs run three at a time beside the checks and the lifecycle.
TASKS = 6
TRAINING_JOBS = 3

Size = tuple[float, float]


def size(resources: dict[str, Any]) -> Size:
    requests = resources["requests"]
    return cpus(str(requests["cpu"])), mebibytes(requests["memory"])


def times(count: int, one: Size) -> Size:
    return count * one[0], count * one[1]


def airflow() -> list[Size]:
    chart = values("airflow")
    always = [
        times(chart[part].get("replicas", 1), size(chart[part]["resources"]))
        for part in ("scheduler", "apiServer", "triggerer", "dagProcessor", "statsd")
    ]
    return [*always, times(TASKS, size(chart["workers"]["kubernetes"]["resources"]))]


def operators() -> list[Size]:
    strimzi, spark = values("strimzi"), values("spark-operator")
    return [
        times(strimzi["replicas"], size(strimzi["resources"])),
        times(spark["controller"]["replicas"], size(spark["controller"]["resources"])),
        times(spark["webhook"]["replicas"], size(spark["webhook"]["resources"])),
    ]


def kafka() -> list[Size]:
    pool, entity = named("KafkaNodePool", "node")["spec"], named("Kafka", "shopstream")["spec"]["entityOperator"]
    return [
        times(pool["replicas"], size(pool["resources"])),
        *(size(entity[part]["resources"]) for part in ("topicOperator", "userOperator")),
    ]


def monitoring() -> list[Size]:
    chart = values("monitoring")
    return [
        size(chart["prometheus"]["prometheusSpec"]["resources"]),
        size(chart["grafana"]["resources"]),
        size(chart["alertmanager"]["alertmanagerSpec"]["resources"]),
    ]


def jobs() -> list[Size]:
    executors = int(named("ConfigMap", "shopstream-config")["data"]["SHOPSTREAM_STREAM_EXECUTORS"])
    parts = {"stream_driver": 1, "stream_executor": executors, "training": TRAINING_JOBS, "quality": 1}
    return [times(count, size(DEFAULTS[kind].manifest())) for kind, count in parts.items()]


def test_needed_room_is_what_the_files_ask_for() -> None:
    databases = [
        times(replicas, size(one["resources"]))
        for name, spec, replicas in pod_specs()
        for one in spec["containers"]
        if name.startswith("StatefulSet/")
    ]
    sizes = [*databases, *airflow(), *operators(), *kafka(), *monitoring(), *jobs()]
    cpu, memory = sum(one[0] for one in sizes), sum(one[1] for one in sizes)
    assert math.ceil(cpu) == NEEDED_CPU
    assert math.ceil(memory / 1000) * 1000 == NEEDED_MEMORY_MIB


def test_the_largest_pod() -> None:
    single = [
        *(
            mebibytes(one["resources"]["requests"]["memory"])
            for _, spec, _ in pod_specs()
            for one in spec["containers"]
        ),
        *(one.memory_mb for one in DEFAULTS.values()),
        mebibytes(named("KafkaNodePool", "node")["spec"]["resources"]["requests"]["memory"]),
    ]
    assert max(single) == LARGEST_POD_MIB


@pytest.mark.parametrize(
    ("quantity", "expected"), [("512Mi", 512), ("2Gi", 2048), ("1048576", 1), ("1048576Ki", 1024), ("128M", 122.07)]
)
def test_memory_quantities(quantity: str, expected: float) -> None:
    assert mebibytes(quantity) == pytest.approx(expected, abs=0.01)


def test_cpu_quantities() -> None:
    assert (cpus("250m"), cpus("2"), cpus("0.5")) == (0.25, 2.0, 0.5)


def test_the_suggested_quota_has_room_for_all_of_it() -> None:
    hard = named("ResourceQuota", "shopstream")["spec"]["hard"]
    assert cpus(hard["requests.cpu"]) >= NEEDED_CPU
    assert mebibytes(hard["requests.memory"]) >= NEEDED_MEMORY_MIB
    assert mebibytes(hard["requests.storage"]) >= sum(_claimed())


def _claimed() -> Iterator[float]:
    """What every volume asks for, in MiB."""
    for one in objects():
        spec = one.get("spec", {})
        if one["kind"] == "PersistentVolumeClaim":
            yield mebibytes(spec["resources"]["requests"]["storage"])
        for claim in spec.get("volumeClaimTemplates", []):
            yield spec["replicas"] * mebibytes(claim["spec"]["resources"]["requests"]["storage"])
        if one["kind"] == "KafkaNodePool":
            yield spec["replicas"] * sum(mebibytes(volume["size"]) for volume in spec["storage"]["volumes"])
