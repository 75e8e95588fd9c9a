"""Which processes belong to a stack, and ending exactly those."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import psutil
import pytest

from embedded import processes
from embedded.config import REPOSITORY
from embedded.environment import MARKER
from embedded.launch import leftovers

Spawn = Callable[..., psutil.Process]
SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
PARENT = (
    "import os, subprocess, sys, time; environ = {k: v for k, v in os.environ.items() if k != 'SHOPSTREAM_STACK'};"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], env=environ);"
    "print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def marker() -> str:
    """A marker that no other process on this machine has."""
    return uuid.uuid4().hex


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts `python -c code`, and ends it and its children after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, *arguments: str, **variables: str) -> psutil.Process:
        command = [sys.executable, "-c", code, *arguments]
        child = subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, start_new_session=True)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        return psutil.Process(child.pid)

    yield start
    for child in started:
        for process in [*processes.children(psutil.Process(child.pid)), psutil.Process(child.pid)]:
            process.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_only_processes_with_this_marker_are_found(spawn: Spawn, marker: str) -> None:
    mine = spawn(SLEEP, **{MARKER: marker})
    spawn(SLEEP, **{MARKER: marker + "0"})
    spawn(SLEEP)
    assert processes.marked(marker) == [mine]


def test_descendants_that_lost_the_marker_are_found(spawn: Spawn, marker: str) -> None:
    parent = spawn(PARENT, **{MARKER: marker})
    assert {process.pid for process in processes.marked(marker)} == {parent.pid, *(c.pid for c in parent.children())}
    assert len(processes.marked(marker)) == 2


def test_a_command_spares_itself_and_its_ancestors(marker: str) -> None:
    code = (
        "import sys, subprocess; inner = 'from embedded import processes; print(processes.marked(sys.argv[1]))';"
        "inner = 'import sys; ' + inner;"
        "print(subprocess.run([sys.executable, '-c', inner, sys.argv[1]], capture_output=True, text=True).stdout)"
    )
    environ = os.environ | {MARKER: marker, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-c", code, marker], env=environ, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_stubborn_processes_are_killed_after_the_grace_period(spawn: Spawn, marker: str) -> None:
    victims = [spawn(SLEEP, **{MARKER: marker}), spawn(STUBBORN, **{MARKER: marker})]
    processes.end(victims, 0.5)
    assert processes.wait_gone(victims, 0) == []


def test_zombies_count_as_ended(spawn: Spawn) -> None:
    victim = spawn(SLEEP)
    victim.kill()
    assert processes.wait_gone([victim], 5) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-m", "spark_jobs.jobs.stream", "--result", "x"], True),
        (["python", "-m", "spark_jobs.jobs.features"], False),
        (["sh", "-c", "python -m spark_jobs.jobs.stream"], False),
        (["vim", "spark_jobs.jobs.stream.md"], False),
        ([], False),
    ],
)
def test_driver_is_recognised_by_an_argument_of_its_own(command: list[str], expected: bool) -> None:
    assert processes.is_driver(command) is expected


def test_restart_ends_leftovers_of_that_program_but_no_driver(spawn: Spawn, marker: str) -> None:
    scheduler = {MARKER: marker, "SUPERVISOR_PROCESS_NAME": "airflow-scheduler"}
    worker = spawn(SLEEP, **scheduler)
    spawn(PARENT, "spark_jobs.jobs.stream", **scheduler)
    spawn(SLEEP, **{MARKER: marker, "SUPERVISOR_PROCESS_NAME": "kafka"})
    assert leftovers("airflow-scheduler", marker) == [worker]
