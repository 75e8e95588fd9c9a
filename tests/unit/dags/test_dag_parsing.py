"""DAG files are parsed every half minute: that must touch nothing and depend on nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow_for_tests import DAGS

FORBIDDEN = (
    "socket.",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.mkdir",
    "os.remove",
)

_seen: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event == "open":
        path, mode, flags = args
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or any(letter in (mode or "") for letter in "wax+"):
            _seen.append(f"open {path} {mode}")
    elif event.startswith(FORBIDDEN):
        _seen.append(f"{event} {args}")


# The interpreter reports to this hook whatever is done by Python and its extensions; a hook cannot be removed.
sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    global _seen
    seen: list[str] = []
    _seen = seen
    try:
        yield seen
    finally:
        _seen = None


def forget_plugins() -> None:
    for name in [name for name in sys.modules if name == "shopstream" or name.startswith("shopstream.")]:
        del sys.modules[name]


@pytest.fixture
def fresh_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Parsing imports the platform's plugins anew, so that their import is watched, too."""
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "shopstream"}
    # Compiled files are Python's own affair.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget_plugins()
    yield
    forget_plugins()
    sys.modules.update(kept)


def test_the_watch_sees(tmp_path: Any) -> None:
    with watched() as seen:
        (tmp_path / "x").write_text("")
        (tmp_path / "x").read_text()
    assert len(seen) == 1
    assert "open" in seen[0]


@pytest.mark.usefixtures("fresh_plugins")
def test_parsing_opens_no_socket_starts_no_process_and_writes_no_file() -> None:
    with watched() as seen:
        bag = DagBag(DAGS)
    assert len(bag.dags) == 5
    assert seen == []


@pytest.mark.usefixtures("fresh_plugins")
def test_a_bad_environment_does_not_make_dags_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "nonsense")
    monkeypatch.setenv("SHOPSTREAM_RUNTIME", "nonsense")
    monkeypatch.setenv("SHOPSTREAM_HOME", "nonsense")
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert len(bag.dags) == 5


@pytest.mark.usefixtures("fresh_plugins")
def test_parsing_imports_neither_side_of_spark() -> None:
    DagBag(DAGS)
    assert not [name for name in sys.modules if name.split(".")[0] in ("pyspark", "spark_jobs", "great_expectations")]


def test_parsing_is_light() -> None:
    """In a process of its own, as the dag-processor does it: the clients of Kafka and MongoDB stay unloaded."""
    script = f"""
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(DAGS)!r})
assert len(bag.dags) == 5, bag.import_errors
assert not bag.captured_warnings, bag.captured_warnings
sys.exit(" ".join(sorted({{"kafka", "pymongo", "kubernetes"}} & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
