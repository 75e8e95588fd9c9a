"""Sender processes: real processes and pipes, with a producer that writes files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import psutil
import pytest
from kafka.errors import MessageSizeTooLargeError

from spark_jobs.config import REPOSITORY, Config
from spark_jobs.errors import JobError
from spark_jobs.events.producing import Placement
from spark_jobs.events.record import Record
from spark_jobs.events.senders import _AHEAD, Senders
from tests.stack import wait_for

PARTITIONS = 3
DEADLY, REFUSED = b"deadly", b"refused"


class Answer:
    """Kafka's answer; none comes for partition 0 while there is a file `stalled`."""

    def __init__(self, folder: Path, partition: int, value: bytes) -> None:
        self._stalled = folder / "stalled" if partition == 0 else None
        self._value = value

    @property
    def is_done(self) -> bool:
        return not (self._stalled and self._stalled.exists())

    def succeeded(self) -> bool:
        return self.is_done and self._value != REFUSED

    def get(self, timeout: float) -> None:
        assert timeout > 0
        if self._value == REFUSED:
            raise MessageSizeTooLargeError("too large")


class FileProducer:
    """Appends the values of each partition to a file, and its process id to `pids`."""

    def __init__(self, config: Config) -> None:
        self._folder = config.data_dir
        with (self._folder / "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")

    def partitions_for(self, _topic: str) -> set[int]:
        return set(range(PARTITIONS))

    def send(self, _topic: str, value: bytes, _key: bytes | None, _headers: None, partition: int) -> Answer:
        if value == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        with (self._folder / str(partition)).open("ab") as file:
            file.write(value + b"\n")
        return Answer(self._folder, partition, value)


def no_broker(config: Config) -> FileProducer:
    raise JobError("no Kafka broker answers")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def configured(folder: Path) -> Config:
    return Config.from_env({"MONGODB_URI": "mongodb://127.0.0.1", "SHOPSTREAM_DATA_DIR": str(folder)})


def chunks(count: int, size: int) -> list[list[Record]]:
    """Chunks of records that are numbered through, a session for each ten of them."""
    numbers = [range(chunk * size, (chunk + 1) * size) for chunk in range(count)]
    return [[(f"session {number // 10}".encode(), b"%d" % number) for number in chunk] for chunk in numbers]


def kept(folder: Path) -> list[list[int]]:
    """What each partition holds."""
    files = [folder / str(partition) for partition in range(PARTITIONS)]
    return [list(map(int, file.read_text().split())) if file.exists() else [] for file in files]


def pids(folder: Path) -> list[int]:
    return list(map(int, (folder / "pids").read_text().split()))


def test_every_partition_has_its_records_in_order(config: Config) -> None:
    sent = chunks(20, 100)
    with Senders(config, FileProducer) as senders:
        for chunk in sent:
            senders.hand_over(chunk)
        senders.confirm()
        expected: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for partition, _, value in Placement(PARTITIONS).place(record for chunk in sent for record in chunk):
            expected[partition].append(int(value))
        assert kept(config.data_dir) == expected
        assert len(set(pids(config.data_dir))) == 2
    assert not any(map(psutil.pid_exists, pids(config.data_dir)))


def test_a_partition_that_stalls_stops_the_others(config: Config) -> None:
    stalled = config.data_dir / "stalled"
    stalled.touch()
    sent = chunks(3 * _AHEAD, 30)
    with Senders(config, FileProducer) as senders:

        def work() -> None:
            for chunk in sent:
                senders.hand_over(chunk)
            senders.confirm()

        thread = threading.Thread(target=work)
        thread.start()
        most = 30 * _AHEAD
        wait_for(lambda: sum(map(len, kept(config.data_dir))) == most, 30, "all chunks up to the bound")
        thread.join(0.3)
        assert thread.is_alive()
        assert sorted(chain(*kept(config.data_dir))) == list(range(most))
        stalled.unlink()
        thread.join(30)
    assert sorted(chain(*kept(config.data_dir))) == list(range(3 * most))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (REFUSED, r"Kafka refused a record: .*too large"),
        (DEADLY, r"a process that sends to Kafka ended with status -9"),
    ],
)
def test_a_sender_that_fails_is_an_error_as_often_as_one_asks(config: Config, value: bytes, message: str) -> None:
    with Senders(config, FileProducer) as senders:
        senders.hand_over([(b"session", b"1")])
        senders.confirm()
        senders.hand_over([(b"session", value)])
        for _ in range(_AHEAD - 1):
            senders.hand_over([(b"session", b"2")])
        with pytest.raises(RuntimeError, match=message):
            senders.hand_over([(b"session", b"2")])
        with pytest.raises(RuntimeError, match=message):
            senders.confirm()
    assert not any(map(psutil.pid_exists, pids(config.data_dir)))


def test_without_a_broker_there_is_nothing_to_enter(config: Config) -> None:
    with pytest.raises(JobError, match="no Kafka broker answers"), Senders(config, no_broker):
        pytest.fail("entered")


def wait_inside(folder: str) -> None:
    """For a process of its own: start senders, keep them busy, and wait to be ended."""
    with Senders(configured(Path(folder)), FileProducer) as senders:
        for chunk in chunks(_AHEAD, 30):
            senders.hand_over(chunk)
        print("ready", flush=True)
        threading.Event().wait()


@pytest.mark.parametrize("end", [subprocess.Popen.kill, subprocess.Popen.terminate])
def test_senders_end_with_the_process_that_started_them(
    config: Config, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    (config.data_dir / "stalled").touch()
    program = f"import {__name__} as tests\nif __name__ == '__main__': tests.wait_inside({str(config.data_dir)!r})"
    environ = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}"}
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        senders = pids(config.data_dir)
        assert len(senders) == 2
        assert all(map(psutil.pid_exists, senders))
        end(process)
    wait_for(lambda: not any(map(psutil.pid_exists, senders)), 20, "the senders have ended")
