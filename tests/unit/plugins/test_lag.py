import math
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

START = datetime.now(UTC).timestamp() - 86_400


@dataclass
class ConsumerStandIn:
    """Stands in for a consumer of a topic; the record at offset n was written n seconds after START."""

    first: dict[int, int]
    ends: dict[int, int]
    questions: int = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "customer_events"
        return set(self.ends)

    def beginning_offsets(self, partitions: list[TopicPartition], **_: Any) -> dict[TopicPartition, int]:
        return {partition: self.first[partition.partition] for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition], **_: Any) -> dict[TopicPartition, int]:
        return {partition: self.ends[partition.partition] for partition in partitions}

    def offsets_for_times(self, times: dict[TopicPartition, int], **_: Any) -> dict[TopicPartition, Any]:
        self.questions += 1
        found: dict[TopicPartition, Any] = {}
        for partition, time in times.items():
            offset = max(self.first[partition.partition], math.ceil(time / 1000 - START))
            record = SimpleNamespace(offset=offset, timestamp=round((START + offset) * 1000))
            found[partition] = record if offset < self.ends[partition.partition] else None
        return found

    def close(self, **_: Any) -> None:
        pass


@pytest.fixture
def consumer(environment: pytest.MonkeyPatch) -> ConsumerStandIn:
    stand_in = ConsumerStandIn(first={0: 0, 1: 0, 2: 40}, ends={0: 100, 1: 100, 2: 100})
    environment.setattr(lag_module, "KafkaConsumer", lambda **_: stand_in)
    return stand_in


def test_lag_in_events_and_seconds(consumer: ConsumerStandIn) -> None:
    lag = KafkaLag(Config.from_env()).measure({0: 100, 1: 90, 2: 70})
    assert (lag.events, lag.ahead) == (40, {})
    assert lag.seconds == pytest.approx(datetime.now(UTC).timestamp() - (START + 70), abs=5)
    assert consumer.questions < 25


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


def test_a_topic_that_does_not_exist_yet(consumer: ConsumerStandIn) -> None:
    consumer.ends = {}
    assert KafkaLag(Config.from_env()).measure({}).events == 0


def test_no_broker(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    environment.setattr(lag_module, "WAIT_MILLISECONDS", 300)
    with pytest.raises(LagError, match=r"^Kafka at 127\.0\.0\.1:1: .*make status"):
        KafkaLag(Config.from_env()).measure({})
    with pytest.raises(LagError, match=r"^Kafka at 127\.0\.0\.1:1: .*make status"):
        KafkaLag(Config.from_env()).require_answer()


def test_an_answer_needs_no_topic(consumer: ConsumerStandIn) -> None:
    consumer.ends = {}
    KafkaLag(Config.from_env()).require_answer()
    assert consumer.questions == 0
