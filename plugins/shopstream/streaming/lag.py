"""How far the stream is behind the topic, as the broker sees it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from shopstream.config import Config
from shopstream.streaming.errors import LagError
from shopstream.streaming.health import Lag

log = logging.getLogger(__name__)

WAIT_MILLISECONDS = 10_000


class KafkaLag:
    """Compares positions of the stream with the ends of the topic's partitions. Reads, and changes nothing."""

    def __init__(self, config: Config) -> None:
        self._bootstrap = config.kafka_bootstrap
        self._topic = config.topic

    def measure(self, positions: Mapping[int, int]) -> Lag:
        """Return the lag.

        Args:
            positions: Next offset the stream will read, by partition. A partition that is missing has not been read at
                all.

        Raises:
            LagError: No broker answers.
        """
        try:
            consumer = KafkaConsumer(
                bootstrap_servers=self._bootstrap.split(","),
                group_id=None,
                enable_auto_commit=False,
                # A check must not create the topic with the broker's default number of partitions.
                allow_auto_create_topics=False,
                auto_offset_reset="earliest",
                bootstrap_timeout_ms=WAIT_MILLISECONDS,
                max_poll_records=1,
            )
        except (KafkaError, OSError, ValueError) as error:
            raise self._failure(error) from None
        try:
            return self._measure(consumer, positions)
        except KafkaError as error:
            raise self._failure(error) from None
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _measure(self, consumer: KafkaConsumer, positions: Mapping[int, int]) -> Lag:
        numbers = consumer.partitions_for_topic(self._topic) or set()
        if not numbers:
            log.info("Topic %s does not exist yet: nothing to read", self._topic)
            return Lag(0)
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        first = consumer.beginning_offsets(partitions, timeout_ms=WAIT_MILLISECONDS)
        ends = consumer.end_offsets(partitions, timeout_ms=WAIT_MILLISECONDS)
        next_reads = {p: max(positions.get(p.partition, 0), first[p]) for p in partitions}
        behind = {p: offset for p, offset in next_reads.items() if offset < ends[p]}
        return Lag(
            events=sum(ends[p] - offset for p, offset in behind.items()),
            seconds=self._oldest_age(consumer, behind) if behind else 0.0,
            ahead={p.partition: (offset, ends[p]) for p, offset in next_reads.items() if offset > ends[p]},
        )

    def _oldest_age(self, consumer: KafkaConsumer, behind: Mapping[TopicPartition, int]) -> float | None:
        """Return the age, by the records' own Kafka time stamps, of the oldest of the next records to read."""
        stamps: list[int] = []
        for partition, offset in behind.items():
            consumer.assign([partition])
            consumer.seek(partition, offset)
            records = consumer.poll(timeout_ms=WAIT_MILLISECONDS, max_records=1).get(partition, [])
            stamps.extend(record.timestamp for record in records)
        if not stamps:
            return None
        return max(0.0, datetime.now(UTC).timestamp() - min(stamps) / 1000)

    def _failure(self, error: Exception) -> LagError:
        return LagError(f"no Kafka broker answers at {self._bootstrap}: {type(error).__name__} (`make status`)")
