"""Pytest plugin of the lanes that need a real stack: one for the whole session, and a small shop's month of events."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import REPOSITORY, RunningStack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    with running_stack() as running:
        yield running


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of a very small shop, one record in a hundred malformed."""
    target = tmp_path_factory.mktemp("events") / "month.csv.gz"
    options = ["--users", "250", "--days", "30", "--events", "12000", "--seed", "7", "--dirty", "0.01"]
    command = [sys.executable, "data/generate_events.py", *options, "--out", str(target)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return target
