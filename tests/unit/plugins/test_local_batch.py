"""The local runtime against real processes: small scripts stand in for jobs."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from airflow_for_tests import PLUGINS

from shopstream.config import Config
from shopstream.runtimes import guard
from shopstream.runtimes.base import JobRuntimeError
from shopstream.runtimes.environment import job_environment
from shopstream.runtimes.local_batch import LocalBatchRuntime

PATIENCE = 30.0

# Writes its arguments as its result.
ECHO = """#!/usr/bin/env python3
import json, os, sys
print("hello", flush=True)
with open(sys.argv[sys.argv.index("--result") + 1], "w") as file:
    json.dump({"argv": sys.argv[1:], "cwd": os.getcwd()}, file)
"""

# Starts a child, writes both process ids to a file (renamed when whole), and waits for ever.
SLEEPER = """#!/usr/bin/env python3
import os, signal, subprocess, sys
{setup}
child = subprocess.Popen(["sleep", "1000"])
with open("{pids}.partial", "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.replace("{pids}.partial", "{pids}")
print("sleeping", flush=True)
while True:
    signal.pause()
"""

Install = Callable[[str], Config]


def wait_for(path: Path) -> list[int]:
    """Wait until a sleeper has written the ids of its two processes; return them."""
    poll = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if path.exists():
            return [int(pid) for pid in path.read_text().split()]
        poll.wait(0.05)
    raise AssertionError("the job did not start")


@pytest.fixture
def sleeper(tmp_path: Path, spark_python: Install) -> Iterator[Callable[..., Config]]:
    """Install a job that never ends; whatever the test does, it is gone afterwards."""
    pids = tmp_path / "pids"

    def install(setup: str = "") -> Config:
        return spark_python(SLEEPER.format(pids=pids, setup=setup))

    yield install
    for process in living(wait_for(pids)) if pids.exists() else []:
        process.kill()


def living(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def gone(pids: list[int]) -> bool:
    return not psutil.wait_procs(living(pids), timeout=PATIENCE)[1]


def test_a_job_gets_its_arguments_and_returns_its_result(
    spark_python: Install, caplog: pytest.LogCaptureFixture
) -> None:
    config = spark_python(ECHO)
    with caplog.at_level(logging.INFO):
        outcome = LocalBatchRuntime(config).run("features", ["--as-of=x y", "mongodb://u:p@h"])
    assert outcome.status == 0
    assert outcome.result
    assert outcome.result["argv"][:4] == ["-m", "spark_jobs.jobs.features", "--as-of=x y", "mongodb://u:p@h"]
    assert outcome.result["cwd"] == str(config.data_dir / "work")
    assert caplog.messages[0].startswith(f"Command: {config.spark_python} -m spark_jobs.jobs.features '--as-of=x y' ")
    assert "mongodb://***:***@h" in caplog.messages[0]
    assert caplog.messages[1] == "hello"
    assert list((config.data_dir / "work").iterdir()) == []


@pytest.mark.parametrize("status", [1, 2, 99, 137])
def test_exit_statuses_come_back(spark_python: Install, status: int) -> None:
    config = spark_python(f"#!/bin/sh\necho 'error: no file (check it)' >&2\nexit {status}\n")
    outcome = LocalBatchRuntime(config).run("features", [])
    assert (outcome.status, outcome.error, outcome.result) == (status, "no file (check it)", None)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_that_ends_the_job_is_reported(spark_python: Install, number: signal.Signals) -> None:
    config = spark_python(f"#!/bin/sh\necho last words\nkill -{number.value} $$\n")
    outcome = LocalBatchRuntime(config).run("features", [])
    assert (outcome.status, outcome.tail) == (-number, ("last words",))


@pytest.mark.parametrize("written", ["not json", "[1, 2]", '{"half'])
def test_a_malformed_result_is_none(spark_python: Install, written: str) -> None:
    config = spark_python(f"#!/bin/sh\nfor last; do :; done\nprintf '%s' '{written}' > \"$last\"\n")
    assert LocalBatchRuntime(config).run("features", []).result is None


def test_output_comes_line_by_line(spark_python: Install, tmp_path: Path) -> None:
    """The job goes on only after its first line was logged: were output held back, both would wait."""
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    config = spark_python(f"#!/bin/sh\necho first\nread answer < {fifo}\necho $answer\n")
    seen: list[str] = []

    class Answer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            if seen == ["first"]:
                fifo.write_text("second\n")

    logger, handler = logging.getLogger("shopstream.job"), Answer()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        LocalBatchRuntime(config).run("features", [])
    finally:
        logger.removeHandler(handler)
    assert seen == ["first", "second"]


def test_a_job_that_ends_at_once_is_not_missed(spark_python: Install) -> None:
    config = spark_python("#!/bin/sh\n")
    assert [LocalBatchRuntime(config).run("features", []).status for _ in range(20)] == [0] * 20


def end_when_started(runtime: LocalBatchRuntime, pids: Path) -> None:
    wait_for(pids)
    runtime.end()


def test_end_ends_the_job_and_its_children(sleeper: Callable[..., Config], tmp_path: Path) -> None:
    runtime = LocalBatchRuntime(sleeper())
    ender = threading.Thread(target=end_when_started, args=(runtime, tmp_path / "pids"))
    ender.start()
    outcome = runtime.run("features", [])
    ender.join()
    assert outcome.status == -signal.SIGTERM
    assert not living(wait_for(tmp_path / "pids"))


def test_a_job_that_ignores_sigterm_is_killed(sleeper: Callable[..., Config], tmp_path: Path) -> None:
    config = sleeper("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    runtime = LocalBatchRuntime(config, grace_seconds=0.5)
    ender = threading.Thread(target=end_when_started, args=(runtime, tmp_path / "pids"))
    ender.start()
    outcome = runtime.run("features", [])
    ender.join()
    assert outcome.status == -signal.SIGKILL
    assert not living(wait_for(tmp_path / "pids"))


def test_children_that_a_job_leaves_behind_are_ended(spark_python: Install, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    config = spark_python(f"#!/bin/sh\nsleep 1000 &\necho $! > {pid}\nexit 3\n")
    assert LocalBatchRuntime(config, grace_seconds=0.5).run("features", []).status == 3
    assert not psutil.pid_exists(int(pid.read_text()))


def test_an_exception_while_reading_leaves_no_job(sleeper: Callable[..., Config], tmp_path: Path) -> None:
    """Airflow's time-out is an exception raised inside `run`."""

    class TimeOut(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            raise TimeoutError

    logger, handler = logging.getLogger("shopstream.job"), TimeOut()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with pytest.raises(TimeoutError):
            LocalBatchRuntime(sleeper()).run("features", [])
    finally:
        logger.removeHandler(handler)
    assert not living(wait_for(tmp_path / "pids"))


TASK = """
import sys
sys.path.append({plugins!r})
from shopstream.config import Config
from shopstream.runtimes.local_batch import LocalBatchRuntime
LocalBatchRuntime(Config.from_env(), grace_seconds=1).run("features", [])
"""


def start_task() -> subprocess.Popen[bytes]:
    """Start a process that runs a job as a task does."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(TASK.format(plugins=str(PLUGINS)))])


@pytest.mark.parametrize("setup", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_sigkilled_task_leaves_no_job_behind(sleeper: Callable[..., Config], tmp_path: Path, setup: str) -> None:
    sleeper(setup)
    task = start_task()
    pids = wait_for(tmp_path / "pids")
    guards = [guard.pid for guard in psutil.Process(task.pid).children()]
    assert len(living([*pids, *guards])) == 3
    task.kill()
    task.wait()
    assert gone([*pids, *guards])


def test_a_sigkilled_guard_takes_the_job_along(sleeper: Callable[..., Config], tmp_path: Path) -> None:
    sleeper()
    task = start_task()
    job, _child = wait_for(tmp_path / "pids")
    (keeper,) = psutil.Process(task.pid).children()
    assert guard.__file__ in keeper.cmdline()
    keeper.kill()
    try:
        assert gone([job])
    finally:
        task.kill()
        task.wait()


def test_a_missing_spark_environment_is_explained(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SHOPSTREAM_SPARK_PYTHON", "/nowhere/python")
    with pytest.raises(JobRuntimeError, match=r"/nowhere/python does not exist \(`make up`"):
        LocalBatchRuntime(Config.from_env()).run("features", [])


def test_an_unwritable_data_folder_is_explained(spark_python: Install, environment: pytest.MonkeyPatch) -> None:
    spark_python(ECHO)
    environment.setenv("SHOPSTREAM_DATA_DIR", "/dev/null/data")
    with pytest.raises(JobRuntimeError, match="SHOPSTREAM_DATA_DIR"):
        LocalBatchRuntime(Config.from_env()).run("features", [])


def test_jobs_see_the_platforms_environment_but_not_airflows(environment: pytest.MonkeyPatch) -> None:
    config = Config.from_env()
    env = {
        "PATH": "/bin",
        "SHOPSTREAM_STACK": "mark",
        "PYTHONPATH": "/airflow",
        "AIRFLOW__CORE__FERNET_KEY": "secret",
        "AIRFLOW_CONN_X": "secret",
        "_AIRFLOW_PROCESS_CONTEXT": "client",
    }
    seen = job_environment(config, env)
    assert "secret" not in seen.values()
    assert "client" not in seen.values()
    assert seen["SHOPSTREAM_STACK"] == "mark"
    assert seen["SHOPSTREAM_DATA_DIR"] == str(config.data_dir)
    assert seen["PYTHONPATH"] == str(PLUGINS.parent)
