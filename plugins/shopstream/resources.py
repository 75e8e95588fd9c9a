"""What the pods of the kubernetes runtime get of their nodes, by kind of job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

# The heap's share of a pod's memory. Python, the JVM's own needs, RocksDB and network buffers live in the rest.
HEAP_SHARE = 0.6

# Spark refuses a heap below 450 MiB (`UnifiedMemoryManager`), which is the share of 750 MiB.
LEAST_SPARK_MEMORY_MB = 768

# Python alone does not start in less.
LEAST_MEMORY_MB = 32

_MEMORY = re.compile(r"(\d+)(Mi|Gi)")
_CPU = re.compile(r"\d+m|\d+(\.\d+)?")

Override = Mapping[str, str | int]


class ResourcesError(Exception):
    """An override of resources is malformed; the message says where."""


@dataclass(frozen=True)
class Resources:
    """Resources of one container.

    Attributes:
        cpu: CPU that the node reserves, as Kubernetes writes it: `500m`, `2`.
        cores: CPUs that it may use at most; also Spark's number of task slots.
        memory: Memory, `512Mi` or `2Gi`: reserved, and the limit at which the container is ended.
    """

    cpu: str
    cores: int
    memory: str

    @classmethod
    def of(cls, job: str, overrides: Mapping[str, Override]) -> Resources:
        """Return the resources of a job, or of a part of the stream.

        Args:
            job: Its name; one that `KINDS` does not know counts as `ingestion`.
            overrides: What differs from `DEFAULTS`, by job or kind; the job's own wins.
        """
        kind = KINDS.get(job, "ingestion")
        found = DEFAULTS[kind]
        for name in (kind, job):
            found = replace(found, **overrides.get(name, {}))  # type: ignore[arg-type]  # checked by read_overrides
        return found

    @property
    def memory_mb(self) -> int:
        """Memory in MiB."""
        match = _MEMORY.fullmatch(self.memory)
        assert match  # noqa: S101  (for mypy: read_overrides has checked it)
        return int(match[1]) * (1024 if match[2] == "Gi" else 1)

    @property
    def heap_mb(self) -> int:
        """Heap of the JVM in MiB."""
        return int(self.memory_mb * HEAP_SHARE)

    def manifest(self) -> dict[str, dict[str, str]]:
        """Return the `resources` of a container."""
        return {
            "requests": {"cpu": self.cpu, "memory": self.memory},
            "limits": {"cpu": str(self.cores), "memory": self.memory},
        }


# The memory of a container is both reserved and its limit: a pod that fits its node when it starts fits to its end.
DEFAULTS: dict[str, Resources] = {
    # Plain Python with a few thousand rows at a time.
    "ingestion": Resources("250m", 1, "1Gi"),
    # Great Expectations on pandas frames of at most some 100,000 documents.
    "quality": Resources("500m", 2, "2Gi"),
    # Spark in one pod, `local[cores]`; a month of 42 million events spills to disk.
    "training": Resources("1", 2, "4Gi"),
    "stream_driver": Resources("500m", 2, "2Gi"),
    "stream_executor": Resources("1", 2, "3Gi"),
}

# Kinds whose containers run no JVM.
_PLAIN_PYTHON = {"ingestion", "quality"}

KINDS: dict[str, str] = {
    "dead_letters": "ingestion",
    "retention": "ingestion",
    "replay_events": "ingestion",
    "seed_dimensions": "ingestion",
    "validate": "quality",
    **dict.fromkeys(
        (
            "churn",
            "extract_events",
            "features",
            "journeys",
            "promote",
            "recommendations",
            "segments",
            "statistics",
            "time_series",
        ),
        "training",
    ),
    "stream_driver": "stream_driver",
    "stream_executor": "stream_executor",
}


def read_overrides(text: str) -> dict[str, Override]:
    """Read overrides: `{"training": {"memory": "8Gi"}, "churn": {"cpu": "2", "cores": 4}}`.

    Args:
        text: A JSON object, or nothing.

    Raises:
        ResourcesError: It is malformed; names the entry.
    """
    try:
        overrides = json.loads(text or "{}")
    except ValueError as error:
        raise ResourcesError(f"no JSON object ({error})") from None
    if not isinstance(overrides, dict):
        raise ResourcesError(f'no JSON object (example: {{"training": {{"memory": "8Gi"}}}}), but {text[:50]!r}')
    for name, override in overrides.items():
        if name not in KINDS and name not in DEFAULTS:
            raise ResourcesError(f"{name!r} is no job or kind (there are: {', '.join(sorted({*KINDS, *DEFAULTS}))})")
        if not isinstance(override, dict):
            raise ResourcesError(f"{name}: {override!r} is no object with cpu, cores or memory")
        least = LEAST_MEMORY_MB if KINDS.get(name, name) in _PLAIN_PYTHON else LEAST_SPARK_MEMORY_MB
        for key, value in override.items():
            _check(name, key, value, least)
    return overrides


def _check(name: str, key: str, value: object, least: int) -> None:
    match key, value:
        case "cpu", str() if _CPU.fullmatch(value):
            return
        case "cores", int() if value > 0 and not isinstance(value, bool):
            return
        case "memory", str() if _MEMORY.fullmatch(value) and Resources("1", 1, value).memory_mb >= least:
            return
    allowed = f'cpu ("500m"), cores (2) and memory ("{least}Mi" or more, in Mi or Gi)'
    raise ResourcesError(f"{name}: {key}={value!r} is not allowed; there are {allowed}")
