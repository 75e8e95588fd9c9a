"""The local runtime of the stream against a real process: `driver_stand_in.py`."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from airflow_for_tests import PLUGINS

from shopstream.config import Config
from shopstream.runtimes import local_stream
from shopstream.runtimes.base import JobRuntimeError
from shopstream.runtimes.local_stream import LocalStreamRuntime
from shopstream.streaming.health import Heartbeat

STAND_IN = Path(__file__).with_name("driver_stand_in.py")
PATIENCE = 30.0


@pytest.fixture
def config(tmp_path: Path, spark_python: Callable[[str], Config], environment: pytest.MonkeyPatch) -> Iterator[Config]:
    """A configuration whose driver is the stand-in; it is gone after the test."""
    environment.setenv("STAND_IN_FOLDER", str(tmp_path))
    config = spark_python(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    yield config
    if driver := LocalStreamRuntime(config).find(None):
        psutil.Process(driver.pid).kill()


def until(condition: Callable[[], bool]) -> None:
    poll = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if condition():
            return
        poll.wait(0.05)
    raise AssertionError("waited in vain")


def running(tmp_path: Path) -> bool:
    beat = tmp_path / "heartbeat.json"
    return beat.exists() and '"state": "running"' in beat.read_text()


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_driver_is_launched_found_and_stopped(config: Config, tmp_path: Path) -> None:
    runtime = LocalStreamRuntime(config)
    assert runtime.find(None) is None
    driver = runtime.launch("f" * 64)
    assert LocalStreamRuntime(config).find(None) == driver
    until(lambda: running(tmp_path))
    assert "f" * 64 in (tmp_path / "heartbeat.json").read_text()
    assert not runtime.wait(driver, 0.1)
    assert (
        LocalStreamRuntime(config).stop(driver, PATIENCE) == f"The driver ({driver.name}) finished its work and ended"
    )
    assert runtime.wait(driver, PATIENCE)
    assert '"state": "stopped"' in (tmp_path / "heartbeat.json").read_text()
    assert LocalStreamRuntime(config).find(None) is None
    assert runtime.stop(driver, 1).endswith("had ended already")


def test_the_driver_inherits_nothing_of_the_task(config: Config, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SHOPSTREAM_STACK", "the-mark")
    environment.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    driver = LocalStreamRuntime(config).launch("f")
    process = psutil.Process(driver.pid)
    try:
        until(lambda: "driver_stand_in.py" in " ".join(process.cmdline()))
        assert os.getsid(process.pid) == driver.pid
        seen = process.environ()
        assert seen["SHOPSTREAM_STACK"] == "the-mark"
        assert "AIRFLOW__CORE__FERNET_KEY" not in seen
        descriptors = {link.readlink() for link in Path(f"/proc/{driver.pid}/fd").iterdir()}
        assert Path(f"/proc/self/fd/{writing}").readlink() not in descriptors
        assert Path("/dev/null") in descriptors
    finally:
        os.close(reading)
        os.close(writing)


TASK = """
import sys
sys.path.append({plugins!r})
from shopstream.config import Config
from shopstream.runtimes.local_stream import LocalStreamRuntime
print(LocalStreamRuntime(Config.from_env()).launch("f").pid, flush=True)
sys.stdin.read()
"""


def test_the_driver_outlives_a_sigkilled_task_and_is_found_by_the_next(config: Config) -> None:
    task = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TASK.format(plugins=str(PLUGINS)))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert task.stdout
    assert task.stdin
    pid = int(task.stdout.readline())
    # As Airflow does it: to the task's whole process group.
    os.killpg(task.pid, signal.SIGKILL)
    task.communicate()
    runtime = LocalStreamRuntime(config)
    driver = runtime.find(None)
    assert driver
    assert driver.pid == pid
    assert runtime.stop(driver, PATIENCE).endswith("finished its work and ended")


def test_a_session_that_is_somebody_elses_by_now_is_left_alone(config: Config) -> None:
    """After a restart of the machine the recorded id may be anybody's."""
    other = subprocess.Popen(["sleep", "60"], start_new_session=True, env={"PATH": os.environ["PATH"]})
    try:
        record = config.data_dir / "stream" / "driver.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"pid": other.pid, "created": psutil.boot_time() - 1000}))
        LocalStreamRuntime(config).launch("f")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_deaf_driver_is_killed_with_its_children(config: Config, tmp_path: Path) -> None:
    (tmp_path / "behaviour").write_text("deaf child")
    runtime = LocalStreamRuntime(config)
    driver = runtime.launch("f")
    until(lambda: running(tmp_path))
    assert LocalStreamRuntime(config).stop(driver, 0.5).endswith("did not finish within 0 s and was killed")
    assert runtime.wait(driver, PATIENCE)
    child = int((tmp_path / "child").read_text())
    until(lambda: has_ended(child))


def test_a_child_that_the_driver_leaves_behind_is_ended(
    config: Config, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(local_stream, "CHILDREN_SECONDS", 0.2)
    (tmp_path / "behaviour").write_text("child")
    runtime = LocalStreamRuntime(config)
    driver = runtime.launch("f")
    until(lambda: running(tmp_path))
    assert runtime.stop(driver, PATIENCE).endswith("finished its work and ended")
    child = int((tmp_path / "child").read_text())
    until(lambda: has_ended(child))


def test_what_a_killed_driver_leaves_behind_is_ended_before_the_next_one_starts(config: Config, tmp_path: Path) -> None:
    (tmp_path / "behaviour").write_text("child")
    runtime = LocalStreamRuntime(config)
    killed = runtime.launch("f")
    until(lambda: running(tmp_path))
    child = psutil.Process(int((tmp_path / "child").read_text()))
    psutil.Process(killed.pid).kill()
    assert runtime.wait(killed, PATIENCE)
    assert child.is_running()
    LocalStreamRuntime(config).launch("f")
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_has_the_recorded_id_by_chance_is_not_the_driver(config: Config) -> None:
    runtime = LocalStreamRuntime(config)
    record = config.data_dir / "stream" / "driver.json"
    record.parent.mkdir(parents=True)
    created = psutil.Process().create_time()
    record.write_text(f'{{"pid": {os.getpid()}, "created": {created - 100}}}')
    assert runtime.find(None) is None
    record.write_text(f'{{"pid": {os.getpid()}, "created": {created}}}')
    assert runtime.find(None) is not None
    record.unlink()


@pytest.mark.parametrize("text", ["", "{}", '{"pid": null}', "[]"])
def test_a_damaged_record_is_no_driver(config: Config, text: str) -> None:
    record = config.data_dir / "stream" / "driver.json"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert LocalStreamRuntime(config).find(None) is None


def heartbeat_of(pid: int) -> Heartbeat:
    now = datetime.now(UTC)
    return Heartbeat(pid, socket.gethostname(), "running", None, "f", started_at=now, updated_at=now)


def test_an_unrecorded_driver_is_found_by_its_heartbeat(config: Config, tmp_path: Path) -> None:
    """As after a task that was killed between launching and recording."""
    runtime = LocalStreamRuntime(config)
    driver = runtime.launch("f")
    until(lambda: running(tmp_path))
    (config.data_dir / "stream" / "driver.json").unlink()
    beat = heartbeat_of(driver.pid or 0)
    try:
        assert LocalStreamRuntime(config).find(None) is None
        assert LocalStreamRuntime(config).find(replace(beat, host="elsewhere")) is None
        assert LocalStreamRuntime(config).find(replace(beat, started_at=datetime(2020, 1, 1, tzinfo=UTC))) is None
        assert LocalStreamRuntime(config).find(heartbeat_of(os.getpid())) is None
        assert LocalStreamRuntime(config).find(beat) == driver
    finally:
        runtime.stop(driver, PATIENCE)


def test_last_words_are_the_newest_drivers_and_without_credentials(config: Config, tmp_path: Path) -> None:
    runtime = LocalStreamRuntime(config)
    assert "No such file" in runtime.last_words()[0]
    driver = runtime.launch("f")
    until(lambda: running(tmp_path))
    runtime.stop(driver, PATIENCE)
    (tmp_path / "behaviour").write_text("refuse")
    driver = runtime.launch("f")
    assert runtime.wait(driver, PATIENCE)
    assert runtime.last_words() == [
        "stand-in for the streaming driver, refuse",
        "error: SHOPSTREAM_TRIGGER_SECONDS='x' is not a positive whole number mongodb://***:***@h",
    ]
    assert runtime.last_words(1)[0].startswith("error: ")


def test_a_long_log_is_kept_once(config: Config, environment: pytest.MonkeyPatch) -> None:
    environment.setattr(local_stream, "ROTATE_BYTES", 10)
    log = config.home / "logs" / "stream.log"
    log.parent.mkdir(parents=True)
    log.write_text("a long log of old\n")
    runtime = LocalStreamRuntime(config)
    runtime.stop(runtime.launch("f"), PATIENCE)
    assert log.with_name("stream.log.1").read_text() == "a long log of old\n"
    assert log.read_text().startswith("--- launched ")


def test_a_missing_spark_environment_is_explained(config: Config) -> None:
    broken = replace(config, spark_python=Path("/nowhere/python"))
    with pytest.raises(JobRuntimeError, match="/nowhere/python does not exist"):
        LocalStreamRuntime(broken).launch("f")


def test_an_unwritable_home_is_explained(config: Config) -> None:
    with pytest.raises(JobRuntimeError, match=r"cannot start the driver.*SHOPSTREAM_HOME"):
        LocalStreamRuntime(replace(config, home=Path("/dev/null/home"))).launch("f")
