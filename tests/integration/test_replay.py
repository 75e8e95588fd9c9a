"""Replaying a file into a real Kafka: what arrives where, and what counts as sent when something breaks."""

from __future__ import annotations

import os
import random
import signal
import string
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from spark_jobs.events.source import COLUMNS
from tests.oracle import records
from tests.stack import REPOSITORY, RunningStack, wait_for

# Slow enough to be struck in the middle, after the report of the fifth second.
RATE = 1_500


class Shop:
    """One topic of its own on the stack's broker, and replays into it."""

    def __init__(self, stack: RunningStack, topic: str) -> None:
        self.stack, self.topic = stack, topic
        self.servers = stack.exported["KAFKA_BOOTSTRAP_SERVERS"]

    def start(self, file: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start a replay named like the topic."""
        own = {"SHOPSTREAM_TOPIC": self.topic, **variables}
        command = [sys.executable, "-m", "spark_jobs.jobs.replay_events", f"--file={file}", f"--run-id={self.topic}"]
        return subprocess.Popen(
            [*command, *options],
            env={**self.stack.environ, **self.stack.exported, **own},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def acknowledged(self) -> int:
        """Rows that count as sent."""
        progress = self.stack.db["replay_progress"].find_one({"_id": self.topic}) or {}
        return int(progress.get("rows", 0))

    def kept(self) -> list[list[bytes]]:
        """The values of every partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.servers, enable_auto_commit=False, consumer_timeout_ms=20_000)
        try:
            places = [TopicPartition(self.topic, partition) for partition in range(3)]
            consumer.assign(places)
            consumer.seek_to_beginning()
            left = sum(consumer.end_offsets(places).values())
            values: list[list[bytes]] = [[], [], []]
            while left:
                one = next(consumer)
                values[one.partition].append(one.value)
                left -= 1
            return values
        finally:
            consumer.close()


@pytest.fixture
def shop(stack: RunningStack, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A topic that takes batches of up to 300 kB."""
    topic = "".join(char if char.isalnum() else "-" for char in request.node.name)
    admin = KafkaAdminClient(bootstrap_servers=stack.exported["KAFKA_BOOTSTRAP_SERVERS"])
    try:
        admin.create_topics([NewTopic(topic, 3, 1, topic_configs={"max.message.bytes": "300000"})])
        yield Shop(stack, topic)
        admin.delete_topics([topic])
    finally:
        admin.close()


def test_every_partition_has_the_files_order(shop: Shop, month: Path) -> None:
    out, err = shop.start(month).communicate()
    wanted = records(month)
    assert f"{len(wanted)} events sent" in out, err
    kept = shop.kept()
    assert Counter(chain(*kept)) == Counter(wanted)
    # Garbage may be repeated, events are all different.
    row = {value: number for number, value in enumerate(wanted) if b"event_id" in value}
    order = [[row[value] for value in values if value in row] for values in kept]
    assert order == [sorted(rows) for rows in order]
    assert min(map(len, order)) > len(wanted) / 5
    # A second call has nothing left to send.
    assert "0 events sent" in shop.start(month).communicate()[0]
    assert shop.acknowledged() == len(wanted)


def kill_a_sender(replay: subprocess.Popen[str], senders: list[psutil.Process]) -> None:
    os.kill(senders[0].pid, signal.SIGKILL)


def kill_the_reader(replay: subprocess.Popen[str], senders: list[psutil.Process]) -> None:
    replay.kill()


def stop_the_reader(replay: subprocess.Popen[str], senders: list[psutil.Process]) -> None:
    replay.terminate()


@pytest.mark.parametrize(
    ("strike", "said"),
    [
        (kill_a_sender, "RuntimeError: a process that sends to Kafka ended with status -9"),
        (kill_the_reader, ""),
        (stop_the_reader, ""),
    ],
)
def test_a_killed_process_loses_nothing(
    shop: Shop, month: Path, strike: Callable[[subprocess.Popen[str], list[psutil.Process]], None], said: str
) -> None:
    replay = shop.start(month, f"--rate={RATE}")
    wait_for(lambda: shop.acknowledged() > 0, 60, "the first rows are acknowledged")
    time.sleep(0.5)
    senders = [one for one in psutil.Process(replay.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(senders) == 2
    strike(replay, senders)
    _, err = replay.communicate(timeout=60)
    assert replay.returncode not in (0, 2)
    assert (err.strip().splitlines() or [""])[-1] == said
    wait_for(lambda: not any(one.is_running() for one in senders), 20, "the senders have ended")
    acknowledged = shop.acknowledged()
    wanted = records(month)
    assert 0 < acknowledged < len(wanted)
    assert set(chain(*shop.kept())) >= set(wanted[:acknowledged])
    resumed = shop.start(month).communicate()[0]
    assert f"going on after row {acknowledged}" in resumed
    assert set(chain(*shop.kept())) == set(wanted)


def test_a_refused_record_is_an_error_and_does_not_count(shop: Shop, tmp_path: Path) -> None:
    dice = random.Random(1)
    brand = "".join(dice.choices(string.ascii_letters, k=600_000))
    row = "2019-10-01 00:00:00 UTC,view,1,2,toys.robot,{brand},5.00,9,s{number}"
    lines = [row.format(brand=brand if number == 1_700 else "acme", number=number) for number in range(1, 2_001)]
    file = tmp_path / "events.csv"
    file.write_text("\n".join([",".join(COLUMNS), *lines, ""]))
    replay = shop.start(file)
    _, err = replay.communicate(timeout=120)
    assert replay.returncode == 1
    assert err.strip().splitlines()[-1].startswith("RuntimeError: Kafka refused a record: ")
    assert shop.acknowledged() < 1_700


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SHOPSTREAM_TOPIC", "nowhere", "error: the Kafka topic nowhere does not exist"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1", "error: no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_what_is_missing_is_named_in_one_line(shop: Shop, month: Path, variable: str, value: str, said: str) -> None:
    replay = shop.start(month, **{variable: value})
    _, err = replay.communicate(timeout=120)
    assert replay.returncode == 2
    assert err.strip().splitlines()[-1].startswith(said)
