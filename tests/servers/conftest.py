"""Servers for the tests that need no stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.servers import Servers, servers
from benchmarks.store import AUTO

# What Airflow's side keeps in the document store is tried here, too.
sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins"))


@pytest.fixture(scope="session")
def started() -> Iterator[Servers]:
    """A broker and a document store for all modules."""
    with servers(AUTO) as made:
        yield made


@pytest.fixture(scope="module")
def running(started: Servers) -> Servers:
    """The same with an empty database; topics of other modules are still there."""
    for collection in started.db.list_collection_names():
        started.db.drop_collection(collection)
    return started
