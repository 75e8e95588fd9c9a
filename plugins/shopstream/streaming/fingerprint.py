"""The fingerprint of what a driver was launched with: a driver with another one is outdated."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from shopstream.config import PROJECT, runtime_name

# What makes the SparkApplication.
_PLUGIN = Path(__file__).resolve().parents[1]
MANIFEST_SOURCES = (_PLUGIN / "resources.py", _PLUGIN / "pods/parts.py", _PLUGIN / "pods/spark_application.py")

# Variables that change what the stream does. Secrets go in too, as a changed password needs a new driver;
# only the hash leaves this module.
RELEVANT = (
    "JAVA_HOME",
    "KAFKA_BOOTSTRAP_SERVERS",
    "MONGODB_URI",
    "SHOPSTREAM_DATABASE",
    "SHOPSTREAM_DATA_DIR",
    "SHOPSTREAM_DIMENSION_REFRESH_SECONDS",
    "SHOPSTREAM_KAFKA_CA",
    "SHOPSTREAM_KAFKA_PASSWORD",
    "SHOPSTREAM_KAFKA_USER",
    "SHOPSTREAM_MAX_OFFSETS_PER_TRIGGER",
    "SHOPSTREAM_POD_RESOURCES",
    "SHOPSTREAM_SPARK_DRIVER_MEMORY",
    "SHOPSTREAM_SPARK_IMAGE",
    "SHOPSTREAM_SPARK_JARS",
    "SHOPSTREAM_SPARK_MASTER",
    "SHOPSTREAM_SPARK_PYTHON",
    "SHOPSTREAM_STATE_PARTITIONS",
    "SHOPSTREAM_STREAM_EXECUTORS",
    "SHOPSTREAM_STREAM_LEASE_SECONDS",
    "SHOPSTREAM_STREAM_WRITERS",
    "SHOPSTREAM_TOPIC",
    "SHOPSTREAM_TRIGGER_SECONDS",
)


def config_hash(env: Mapping[str, str] = os.environ, project: Path = PROJECT) -> str:
    """Return SHA-256 over the relevant environment and the stream's source files.

    Args:
        env: The environment a driver would be launched with.
        project: Folder with the package `spark_jobs`.
    """
    digest = hashlib.sha256()
    for name in RELEVANT:
        digest.update(f"{name}={env.get(name, '')}\0".encode())
    if runtime_name(env) == "kubernetes":
        # The code is in the image, which is among the variables; what is around it is not.
        for path in MANIFEST_SOURCES:
            digest.update(path.read_bytes())
    for path in stream_sources(project / "spark_jobs"):
        digest.update(f"{path.relative_to(project).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stream_sources(package: Path) -> Iterator[Path]:
    """Yield the driver's source files in a fixed order: its entry point, its package, the modules all jobs share."""
    yield from sorted(package.glob("*.py"))
    if (entry := package / "jobs" / "stream.py").is_file():
        yield entry
    yield from sorted((package / "streaming").rglob("*.py"))
