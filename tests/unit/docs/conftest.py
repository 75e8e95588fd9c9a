from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "docs"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of everything the documentation is drawn from, to be changed at will."""
    for folder in ("dags", "docs", "embedded", "plugins", "spark_jobs"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path
