"""How far the stream is behind the topic, as the broker sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from shopstream.config import Config
from shopstream.streaming.errors import LagError
from shopstream.streaming.health import Lag

log = logging.getLogger(__name__)

# The client tells of every connection it opens; the task log is for people.
logging.getLogger("kafka").setLevel(logging.WARNING)

WAIT_MILLISECONDS = 10_000
PRECISION_MILLISECONDS = 1_000


class KafkaLag:
    """Compares positions of the stream with the ends of the topic's partitions. Reads, and changes nothing."""

    def __init__(self, config: Config) -> None:
        self._bootstrap = config.kafka_bootstrap
        self._login = config.kafka_login
        self._topic = config.topic

    def measure(self, positions: Mapping[int, int]) -> Lag:
        """Return the lag.

        Args:
            positions: Next offset the stream will read, by partition. A partition that is missing has not been read at
                all.

        Raises:
            LagError: No broker answers.
        """
        with self._connected() as consumer:
            return self._measure(consumer, positions)

    def require_answer(self) -> None:
        """Ask for nothing but an answer.

        Raises:
            LagError: No broker answers.
        """
        with self._connected():
            pass

    @contextmanager
    def _connected(self) -> Iterator[KafkaConsumer]:
        try:
            consumer = KafkaConsumer(
                bootstrap_servers=self._bootstrap.split(","),
                group_id=None,
                enable_auto_commit=False,
                # A check must not create the topic with the broker's default number of partitions.
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=WAIT_MILLISECONDS,
                **self._login.client_options(),
            )
        except (KafkaError, OSError, ValueError) as error:
            raise self._failure(error) from None
        try:
            yield consumer
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

    def _oldest_age(self, consumer: KafkaConsumer, behind: Mapping[TopicPartition, int]) -> float:
        """Return the age in seconds, by Kafka's own time stamps, of the oldest of the next records to read.

        The broker tells for any time the first record that is not older: halving the time between a partition's first
        record and now closes in on the one wanted. Reading it would be shorter, but needs every producer's codec here.
        """
        now = round(datetime.now(UTC).timestamp() * 1000)
        low, high = dict.fromkeys(behind, 0), dict.fromkeys(behind, now)
        while open_ends := [p for p in behind if high[p] - low[p] > PRECISION_MILLISECONDS]:
            # The first question finds the partition's first record; halving from 1970 on would take longer.
            guesses = {p: (low[p] + high[p]) // 2 if low[p] else 1 for p in open_ends}
            found = consumer.offsets_for_times(dict(guesses), timeout_ms=WAIT_MILLISECONDS)
            for partition, guess in guesses.items():
                record = found.get(partition)
                if record is None or record.offset > behind[partition]:
                    high[partition] = guess
                else:
                    low[partition] = max(guess, record.timestamp)
        # A partition that has dropped the record in the meantime says nothing.
        return max(0.0, (now - min((stamp for stamp in low.values() if stamp), default=now)) / 1000)

    def _failure(self, error: Exception) -> LagError:
        place = f"{self._bootstrap}{self._login.way}"
        return LagError(f"Kafka at {place}: {type(error).__name__} {error} (is the stack up? `make status`)")
