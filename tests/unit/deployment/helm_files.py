"""The files of helm-values/, read for the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).resolve().parents[3]
HELM = REPOSITORY / "helm-values"

# Airflow has it on its module path.
sys.path.insert(0, str(REPOSITORY / "plugins"))

CHART_VALUES = ("airflow", "spark-operator", "strimzi", "monitoring")
OBJECT_FILES = sorted([HELM / "kafka.yaml", HELM / "mongodb.yaml", *(HELM / "manifests").glob("*.yaml")])

Object = dict[str, Any]

PART_OF = {"app.kubernetes.io/part-of": "shopstream"}


@cache
def values(name: str) -> Object:
    """The values for a chart."""
    found: Object = yaml.safe_load((HELM / f"{name}.yaml").read_text())
    return found


@cache
def objects() -> tuple[Object, ...]:
    """All of our own Kubernetes objects."""
    return tuple(one for path in OBJECT_FILES for one in yaml.safe_load_all(path.read_text()) if one)


def named(kind: str, name: str) -> Object:
    """The object of this kind and name."""
    found = [one for one in objects() if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, (kind, name)
    return found[0]


def pod_specs() -> Iterator[tuple[str, Object, int]]:
    """`(name, spec, replicas)` of every pod that our objects describe."""
    for one in objects():
        name, spec = f"{one['kind']}/{one['metadata']['name']}", one.get("spec", {})
        if one["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"], 1
        elif one["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield name, spec["template"]["spec"], spec.get("replicas", 1)


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value below a node, with the keys that lead to it."""
    yield path, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, below in pairs:
        yield from walk(below, (*path, str(key)))


def containers() -> list[tuple[str, Object]]:
    """`(kind/name/container, container)` of every container of `pod_specs`."""
    return [
        (f"{name}/{one['name']}", one)
        for name, spec, _ in pod_specs()
        for one in [*spec.get("initContainers", []), *spec["containers"]]
    ]
