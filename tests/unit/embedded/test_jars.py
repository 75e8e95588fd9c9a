"""The lock of the Java archives."""

import hashlib
from pathlib import Path

import pytest

from embedded import jars
from embedded.errors import StackError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two jars."""
    for name in ("kafka/a.jar", "spark/b.jar"):
        path = tmp_path / "jars" / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    return tmp_path / "jars"


def test_exact_set_is_accepted(folder: Path) -> None:
    assert jars.differences(jars.checksums(folder), jars.checksums(folder)) == []


def test_missing_extra_and_altered_files_are_named(folder: Path) -> None:
    expected = jars.checksums(folder)
    (folder / "kafka/a.jar").write_text("tampered with")
    (folder / "spark/b.jar").rename(folder / "spark/c.jar")
    assert jars.differences(expected, jars.checksums(folder)) == [
        "spark/b.jar is missing",
        "spark/c.jar is not in the lock",
        "kafka/a.jar differs",
    ]


def test_lock_has_the_format_of_sha256sum(folder: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"kafka/a.jar").hexdigest()
    lock = tmp_path / "lock"
    lock.write_text(f"{digest}  kafka/a.jar\n")
    assert jars.read_lock(lock) == {"kafka/a.jar": digest}
    lock.write_text("kafka/a.jar\n")
    with pytest.raises(StackError, match="line 1"):
        jars.read_lock(lock)


def test_committed_lock_covers_what_is_asked_for() -> None:
    names = jars.read_lock(jars.LOCK)
    for wanted in (
        "kafka/kafka_2.13-",
        "kafka/slf4j-simple-",
        "spark/spark-sql-kafka-0-10_2.13-",
        "spark/mongo-spark-",
    ):
        assert any(name.startswith(wanted) for name in names)
    assert {name.split("/")[0] for name in names} == {"kafka", "spark"}


def test_no_second_scala_hadoop_or_slf4j_beside_those_of_pyspark() -> None:
    spark = [name.removeprefix("spark/") for name in jars.read_lock(jars.LOCK) if name.startswith("spark/")]
    assert not [name for name in spark if name.startswith(("scala-library", "hadoop-", "slf4j-"))]
