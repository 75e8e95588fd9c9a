"""How a session starts its Java."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_jobs.config import REPOSITORY

START = """
from spark_jobs.config import Config
from spark_jobs.session import spark_session
print(spark_session("test", Config.from_env()).range(3).count(), "rows")
"""
INSTALLED = Path(os.environ.get("SHOPSTREAM_HOME", REPOSITORY / ".shopstream"))
URI = "mongodb://127.0.0.1:9/"


@pytest.mark.parametrize("folder", ["home", "a home"])
def test_classes_come_from_the_archive_through_links_too(tmp_path: Path, folder: str) -> None:
    if not (INSTALLED / "jars/classes.jsa").is_file():
        pytest.skip("this Java can make no archive of classes")
    home = tmp_path / folder
    home.mkdir()
    for shared in ("venvs", "jars"):
        (home / shared).symlink_to(INSTALLED / shared)
    environ = {**os.environ, "SHOPSTREAM_HOME": str(home), "MONGODB_URI": URI, "PYTHONPATH": str(REPOSITORY)}
    loaded = tmp_path / "loaded.log"  # not the standard output: Java would write into the middle of Python's line
    environ["SPARK_SUBMIT_OPTS"] = f"-Xlog:class+load:file={loaded}"
    python = home / "venvs/spark/bin/python"
    started = subprocess.run([str(python), "-c", START], env=environ, capture_output=True, text=True, check=True)
    assert started.stdout.strip() == "3 rows"
    assert "org.apache.spark.SparkContext source: shared objects file (top)" in loaded.read_text()


def test_an_archive_of_something_else_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "jars/spark").mkdir(parents=True)
    (tmp_path / "jars/classes.jsa").write_text("no archive")
    environ = {**os.environ, "SHOPSTREAM_HOME": str(tmp_path), "MONGODB_URI": URI, "PYTHONPATH": str(REPOSITORY)}
    started = subprocess.run([sys.executable, "-c", START], env=environ, capture_output=True, text=True, check=True)
    assert started.stdout.strip() == "3 rows"
