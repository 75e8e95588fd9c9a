"""Builds Shopstream's images with the test cluster's kit and hands them to the cluster.

`python -m tests.kubernetes.images` does it and prints their sizes.
The kit keeps layers, so that only what has changed is built again.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.kubernetes.cluster import REPOSITORY, ClusterError, cluster_up, kit

TAG = "test"
BASE = "python:3.11-slim-bookworm"


# A database server for tests that asks for the same variables as the official image. It is Debian's.
POSTGRES = f"""
FROM {BASE}
RUN useradd --system --uid 999 postgres && apt-get update \\
 && apt-get install --yes --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/tmp/data PGHOST=/tmp
USER 999
ENTRYPOINT ["bash", "-euc", "\\
 initdb --username $POSTGRES_USER --pwfile <(echo $POSTGRES_PASSWORD) --auth scram-sha-256 >/dev/null; \\
 echo host all all all scram-sha-256 >>$PGDATA/pg_hba.conf; \\
 echo CREATE DATABASE $POSTGRES_DB | postgres --single postgres; \\
 exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp"]
"""


@dataclass(frozen=True)
class Images:
    """Names of images that the cluster has; pods use them with the pull policy Never or IfNotPresent.

    Attributes:
        airflow: The Airflow processes and DAGs.
        spark: The jobs.
    """

    airflow: str
    spark: str


def build(target: str) -> str:
    """Build one target of the Dockerfile; returns the image's name.

    Raises:
        ClusterError: The build failed; the message holds its last lines.
    """
    kit("base-image", BASE)
    name = f"shopstream-{target}:{TAG}"
    kit("build", "-t", name, "--target", target, "--build-arg", f"PYTHON_IMAGE={BASE}", str(REPOSITORY))
    return name


@cache
def images() -> Images:
    """Build the images of a cluster, start it if it does not run, hand them to it. Once per process.

    Raises:
        ClusterError: No cluster, or a build failed.
    """
    cluster_up()
    built = Images(build("airflow"), build("spark"))
    kit("load", built.airflow, built.spark)
    return built


@cache
def local_image() -> str:
    """Build the image of a scheduler that runs jobs itself and hand it to the cluster; returns its name."""
    cluster_up()
    name = build("local")
    kit("load", name)
    return name


@cache
def postgres_image() -> str:
    """Build the database server for tests and hand it to the cluster; returns its name."""
    cluster_up()
    kit("base-image", BASE)
    name = f"shopstream-test-postgres:{TAG}"
    with tempfile.TemporaryDirectory() as context:
        Path(context, "Dockerfile").write_text(POSTGRES)
        kit("build", "-t", name, context)
    kit("load", name)
    return name


def sizes() -> dict[str, str]:
    """Size of each built image, as the kit prints it: `{"shopstream-spark:test": "1.2 GB"}`."""
    found = re.findall(rf"/(shopstream-\w+:{TAG}) ([\d.]+ \w+)$", kit("images"), re.M)
    return dict(found)


def main() -> int:
    """Build and load, print names and sizes; returns the exit status."""
    try:
        images()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, size in sizes().items():
        print(f"{name}: {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
