import re
from pathlib import Path

import pytest
from airflow_for_tests import REPOSITORY

from shopstream.streaming import fingerprint
from shopstream.streaming.fingerprint import RELEVANT, config_hash, stream_sources

ENV = {"MONGODB_URI": "mongodb://u:p@h/d", "SHOPSTREAM_TOPIC": "t"}

# Read by the job side, and no reason to relaunch the stream: a folder that relevant variables default to, and what only
# other jobs ask for.
IRRELEVANT = {"SHOPSTREAM_HOME", "SHOPSTREAM_MODELS_URI", "SHOPSTREAM_SNAPSHOT_DAYS"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("config.py", "jobs/stream.py", "jobs/churn.py", "streaming/parse.py", "models/churn.py"):
        path = tmp_path / "spark_jobs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return tmp_path


def test_the_sources_of_the_stream(project: Path) -> None:
    package = project / "spark_jobs"
    names = [path.relative_to(package).as_posix() for path in stream_sources(package)]
    assert names == ["config.py", "jobs/stream.py", "streaming/parse.py"]


def test_the_real_sources_are_found() -> None:
    names = {path.name for path in stream_sources(REPOSITORY / "spark_jobs")}
    assert {"stream.py", "config.py", "parse.py"} <= names


@pytest.mark.parametrize("variable", RELEVANT)
def test_every_relevant_variable_counts(project: Path, variable: str) -> None:
    assert config_hash(ENV | {variable: "else"}, project) != config_hash(ENV, project)


def test_what_does_not_concern_the_stream_does_not_count(project: Path) -> None:
    before = config_hash(ENV, project)
    (project / "spark_jobs" / "models" / "churn.py").write_text("changed")
    (project / "spark_jobs" / "jobs" / "churn.py").write_text("changed")
    assert config_hash(ENV | {"SHOPSTREAM_AIRFLOW_PORT": "1", "SHOPSTREAM_EVENTS": "x"}, project) == before


def test_on_a_cluster_the_manifest_counts(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tmp_path / "spark_application.py"
    manifest.write_text("one")
    monkeypatch.setattr(fingerprint, "MANIFEST_SOURCES", (manifest,))
    cluster = ENV | {"SHOPSTREAM_RUNTIME": "kubernetes"}
    before, local = config_hash(cluster, project), config_hash(ENV, project)
    manifest.write_text("another")
    assert config_hash(cluster, project) != before
    assert config_hash(ENV, project) == local


@pytest.mark.parametrize("name", ["config.py", "jobs/stream.py", "streaming/parse.py"])
def test_changed_and_renamed_sources_count(project: Path, name: str) -> None:
    before = config_hash(ENV, project)
    path = project / "spark_jobs" / name
    text = path.read_text()
    path.write_text("changed")
    assert config_hash(ENV, project) != before
    path.write_text(text)
    assert config_hash(ENV, project) == before


def test_no_variable_of_the_job_side_is_forgotten() -> None:
    source = (REPOSITORY / "spark_jobs" / "config.py").read_text()
    read = set(re.findall(r'"((?:SHOPSTREAM|KAFKA|MONGODB)_[A-Z_]+)"', source))
    assert read
    assert read - IRRELEVANT <= set(RELEVANT)
