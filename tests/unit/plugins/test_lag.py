from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from shopstream.config import Config
from shopstream.streaming import lag as lag_module
from shopstream.streaming.errors import LagError
from shopstream.streaming.lag import KafkaLag


@dataclass
class ConsumerStandIn:
    """Stands in for a consumer of a topic with these offsets; its record at offset n is n seconds old."""

    first: dict[int, int]
    ends: dict[int, int]
    silent: bool = False
    where: tuple[TopicPartition, int] | None = None

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "customer_events"
        return set(self.ends)

    def beginning_offsets(self, partitions: list[TopicPartition], **_: Any) -> dict[TopicPartition, int]:
        return {partition: self.first[partition.partition] for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition], **_: Any) -> dict[TopicPartition, int]:
        return {partition: self.ends[partition.partition] for partition in partitions}

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert len(partitions) == 1

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.where = (partition, offset)

    def poll(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        if self.silent or self.where is None:
            return {}
        partition, offset = self.where
        return {partition: [SimpleNamespace(timestamp=(datetime.now(UTC).timestamp() - offset) * 1000)]}

    def close(self, **_: Any) -> None:
        pass


@pytest.fixture
def consumer(environment: pytest.MonkeyPatch) -> ConsumerStandIn:
    stand_in = ConsumerStandIn(first={0: 0, 1: 0, 2: 40}, ends={0: 100, 1: 100, 2: 100})
    environment.setattr(lag_module, "KafkaConsumer", lambda **_: stand_in)
    return stand_in


@pytest.mark.usefixtures("consumer")
def test_lag_in_events_and_seconds() -> None:
    lag = KafkaLag(Config.from_env()).measure({0: 100, 1: 90, 2: 70})
    assert (lag.events, lag.ahead) == (40, {})
    assert lag.seconds == pytest.approx(90, abs=5)


@pytest.mark.usefixtures("consumer")
def test_a_partition_never_read_lags_from_its_first_record() -> None:
    assert KafkaLag(Config.from_env()).measure({0: 100, 1: 100}).events == 60


@pytest.mark.usefixtures("consumer")
def test_nothing_to_read() -> None:
    lag = KafkaLag(Config.from_env()).measure({0: 100, 1: 100, 2: 100})
    assert (lag.events, lag.seconds) == (0, 0.0)


@pytest.mark.usefixtures("consumer")
def test_a_position_beyond_the_end_is_reported() -> None:
    assert KafkaLag(Config.from_env()).measure({0: 150, 1: 100, 2: 100}).ahead == {0: (150, 100)}


def test_the_age_is_unknown_where_the_broker_does_not_say(consumer: ConsumerStandIn) -> None:
    consumer.silent = True
    lag = KafkaLag(Config.from_env()).measure({})
    assert (lag.events, lag.seconds) == (260, None)


def test_a_topic_that_does_not_exist_yet(consumer: ConsumerStandIn) -> None:
    consumer.ends = {}
    assert KafkaLag(Config.from_env()).measure({}).events == 0


def test_no_broker(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    environment.setattr(lag_module, "WAIT_MILLISECONDS", 300)
    with pytest.raises(LagError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        KafkaLag(Config.from_env()).measure({})
