"""One running stack for the whole session."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stack import REPOSITORY, RunningStack, running_stack  # noqa: E402


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    with running_stack() as running:
        yield running


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of a very small shop, one record in a hundred malformed."""
    sys.path.insert(0, str(REPOSITORY))
    import subprocess

    target = tmp_path_factory.mktemp("events") / "month.csv.gz"
    options = ["--users", "250", "--days", "30", "--events", "12000", "--seed", "7", "--dirty", "0.01"]
    command = [sys.executable, "data/generate_events.py", *options, "--out", str(target)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return target
