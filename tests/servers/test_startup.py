"""What a driver makes of checkpoint, topic and database before it streams, on a real broker and document store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.servers import Servers
from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.topic import open_topic, topic_id
from spark_jobs.streaming.checkpoint import Checkpoint, Origin
from spark_jobs.streaming.data_loss import ACCEPTANCE_ID
from spark_jobs.streaming.heartbeat import Heartbeat
from spark_jobs.streaming.startup import REBUILD_ID, Start, prepare
from tests.stack import wait_for

LAYOUT = {"topic": "clicks"}
MOMENT = datetime(2019, 10, 1, 10, tzinfo=UTC)


class Shop:
    """A topic of one partition, a database, and a driver that has read and written so many records of it.

    Attributes:
        config: Kafka, topic and database.
        checkpoint: The driver's.
    """

    def __init__(self, running: Servers, folder: Path) -> None:
        self.config: Config = replace(running.config("startup"), topic=f"clicks-{folder.name}")
        self.db = running.db
        self.checkpoint = Checkpoint(folder / "stream")
        self._admin = KafkaAdminClient(bootstrap_servers=self.config.kafka_bootstrap)

    def make_topic(self) -> None:
        self._admin.create_topics([NewTopic(self.config.topic, num_partitions=1, replication_factor=1)])
        wait_for(lambda: topic_id(self.config) != "", 30, "the topic is there")

    def send(self, count: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.config.kafka_bootstrap)
        for _ in range(count):
            producer.send(self.config.topic, b"{}").get(timeout=30)
        producer.close()

    def expire(self, before: int) -> None:
        self._admin.delete_records({TopicPartition(self.config.topic, 0): before})

    def make_topic_anew(self) -> None:
        old = topic_id(self.config)
        self._admin.delete_topics([self.config.topic])
        wait_for(lambda: topic_id(self.config) == "", 30, "the topic is gone")
        self.make_topic()
        assert topic_id(self.config) != old

    def start(self) -> Start:
        """Start a driver: what it finds, and what it says of itself."""
        found = prepare(self.config, self.db, self.checkpoint, LAYOUT)
        Heartbeat(self.db, 2).follow(found.origin, found.position)
        return found

    def read(self, until: int, batch: int = 0) -> None:
        """Let the driver write everything below an offset, and Spark commit it."""
        self.write_driver({"end_offsets": {"0": until}, "last_batch_id": batch})
        for log in ("offsets", "commits"):
            (self.checkpoint.folder / log).mkdir(exist_ok=True)
        offsets = json.dumps({self.config.topic: {"0": until}})
        (self.checkpoint.folder / "offsets" / str(batch)).write_text(f'v1\n{{"batchWatermarkMs": 0}}\n{offsets}')
        (self.checkpoint.folder / "commits" / str(batch)).write_text("v1\n{}")

    def store(self, offset: int, at: datetime) -> None:
        """Write an event and a window it is in."""
        self.db["enriched_events"].insert_one({"kafka_partition": 0, "kafka_offset": offset, "event_timestamp": at})
        self.db["event_aggregations"].insert_one({"window_start": at})

    def write_driver(self, fields: Mapping[str, Any]) -> None:
        assert self.db["stream_health"].update_one({"_id": "driver"}, {"$set": fields}).matched_count

    def ask(self, request: str) -> None:
        self.db["stream_health"].insert_one({"_id": request, "run_id": "by hand", "at": MOMENT})

    def lose_checkpoint(self) -> None:
        shutil.rmtree(self.checkpoint.folder)

    def close(self) -> None:
        self._admin.close()


@pytest.fixture
def shop(running: Servers, tmp_path: Path) -> Iterator[Shop]:
    for collection in ("stream_health", "enriched_events", "event_aggregations"):
        running.db.drop_collection(collection)
    made = Shop(running, tmp_path)
    made.make_topic()
    yield made
    made.close()


def test_a_driver_goes_on_where_it_was(shop: Shop) -> None:
    shop.send(5)
    first = shop.start()
    assert (first.origin.start_offsets, first.position, first.lost) == ({0: 0}, {}, [])
    assert first.origin.topic_id == topic_id(shop.config)
    shop.read(5)
    shop.send(1)
    assert shop.start() == Start(first.origin, {0: 5}, [])


@pytest.mark.parametrize(
    "lose", [lambda shop: shop.lose_checkpoint(), lambda shop: shop.ask(REBUILD_ID)], ids=["lost", "rebuild"]
)
def test_what_expired_unread_is_named_without_a_checkpoint_too(shop: Shop, lose: Callable[[Shop], None]) -> None:
    shop.start()
    shop.send(5)
    shop.read(5)
    shop.send(4)
    shop.expire(7)
    lose(shop)
    with pytest.raises(JobError, match=r"partition 0: offsets 5 to 6 \(2 records\).*accept_data_loss"):
        shop.start()
    shop.ask(ACCEPTANCE_ID)
    assert shop.start().origin.start_offsets == {0: 7}
    (gap,) = shop.db["stream_health"].find({"kind": "data_loss"})
    assert (gap["partition"], gap["first_offset"], gap["next_offset"]) == (0, 5, 7)
    assert shop.db["stream_health"].find_one({"_id": ACCEPTANCE_ID}) is None


def test_what_expired_after_it_was_read_is_no_loss(shop: Shop) -> None:
    shop.start()
    shop.send(5)
    shop.read(5)
    shop.expire(3)
    shop.lose_checkpoint()
    assert shop.start().origin.start_offsets == {0: 3}
    assert shop.db["stream_health"].count_documents({"kind": "data_loss"}) == 0


def test_a_topic_made_anew_is_refused_however_long_it_is(shop: Shop) -> None:
    shop.start()
    shop.send(5)
    shop.read(5)
    shop.make_topic_anew()
    shop.send(9)
    with pytest.raises(JobError, match=r"made anew.*rebuild"):
        shop.start()


def rebuilt_from_another_topic(shop: Shop, stored: datetime) -> Origin:
    shop.start()
    shop.send(5)
    shop.read(5)
    shop.store(4, stored)
    shop.make_topic_anew()
    shop.send(9)
    shop.lose_checkpoint()
    return shop.start().origin


def test_what_another_topic_has_left_is_protected_from_every_rebuild(shop: Shop) -> None:
    assert rebuilt_from_another_topic(shop, MOMENT).protected_until == MOMENT
    # The next one finds a topic that it knows, and has nothing of the one before either.
    shop.read(9)
    shop.store(8, MOMENT + timedelta(days=1))
    shop.lose_checkpoint()
    assert shop.start().origin.protected_until == MOMENT


def test_a_clock_ahead_of_ours_protects_nothing_that_is_to_come(shop: Shop) -> None:
    before = datetime.now(UTC)
    protected_until = rebuilt_from_another_topic(shop, before + timedelta(hours=23)).protected_until
    assert protected_until is not None
    assert before - timedelta(seconds=1) < protected_until <= datetime.now(UTC)


def test_a_database_older_than_the_checkpoint_is_refused(shop: Shop) -> None:
    shop.start()
    shop.send(5)
    shop.read(3, batch=0)
    shop.read(5, batch=1)
    shop.write_driver({"last_batch_id": 0})
    with pytest.raises(JobError, match=r"knows of micro-batch 0, and 1 was committed.*rebuild"):
        shop.start()
    # One that was written and not committed is written again.
    shop.write_driver({"last_batch_id": 2})
    assert shop.start().position == {0: 5}


def test_another_database_is_refused(shop: Shop) -> None:
    shop.start()
    shop.send(5)
    shop.read(5)
    shop.write_driver({"generation": "another"})
    with pytest.raises(JobError, match="does not belong to the database"):
        shop.start()


def test_a_missing_topic_is_named(shop: Shop) -> None:
    other = replace(shop.config, topic="no_such_topic")
    with open_topic(other) as topic:
        assert topic.offsets() == ({}, {})
    with pytest.raises(JobError, match="the Kafka topic no_such_topic does not exist"):
        prepare(other, shop.db, shop.checkpoint, LAYOUT)
