"""Records into Kafka: the producer, the partition of a record, and Kafka's answer for every one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import cycle

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.future import Future
from kafka.partitioner.default import murmur2

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.events.record import Record

# Partition, key, value.
Placed = tuple[int, bytes, bytes]

_KNOWN_KEYS = 20_000
# A flushed record's answer is there; its future may learn of it a moment later.
_CONFIRM_SECONDS = 30


def producer(config: Config) -> KafkaProducer:
    """Connect an idempotent producer.

    Raises:
        JobError: No broker answers, or the topic does not exist.
    """
    try:
        client = KafkaProducer(
            bootstrap_servers=config.kafka_bootstrap.split(","),
            **config.kafka_login.client_options(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=30,
            batch_size=256 * 1024,
            max_block_ms=30_000,
        )
    except KafkaError as error:
        raise JobError(
            f"no Kafka broker answers at {config.kafka_bootstrap}{config.kafka_login.way}: {error} (is the stack up?)"
        ) from None
    try:
        # A broker that knows no such topic says nothing, until the time is up.
        known = client.partitions_for(config.topic)
    except KafkaError:
        known = None
    if not known:
        client.close()
        raise JobError(f"the Kafka topic {config.topic} does not exist (`make up` creates it)")
    return client


class Placement:
    """Kafka's own choice of partition, computed once for the records of a session, which follow each other closely.

    A producer that is told the partition has a fifth less to do for a record than one that finds it.

    Args:
        partitions: How many partitions the topic has.
    """

    def __init__(self, partitions: int) -> None:
        def of_key(key: bytes) -> int:
            return int(murmur2(key) & 0x7FFFFFFF) % partitions

        self._of_key = lru_cache(maxsize=_KNOWN_KEYS)(of_key)
        self._in_turn = cycle(range(partitions))

    def place(self, records: Iterable[Record]) -> Iterator[Placed]:
        """Yield the records with their partitions; those without a key (b"") take turns."""
        for key, value in records:
            yield self._of_key(key) if key else next(self._in_turn), key, value


class Outbox:
    """A producer, and the records that it has not been answered yet.

    Args:
        client: The producer.
        topic: Kafka topic.
    """

    def __init__(self, client: KafkaProducer, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._placement = Placement(len(client.partitions_for(topic)))
        self._unanswered: deque[list[Future]] = deque()

    def hand_over(self, records: Sequence[Record]) -> None:
        """Give records to the producer; see `add`."""
        self.add(self._placement.place(records))

    def add(self, placed: Iterable[Placed]) -> None:
        """Give records to the producer, which sends them on its own.

        Raises:
            RuntimeError: The producer does not take one of them.
        """
        send, topic = self._client.send, self._topic
        try:
            self._unanswered.append([send(topic, value, key or None, None, place) for place, key, value in placed])
        except KafkaError as error:
            raise _refused(error) from error

    @property
    def idle(self) -> bool:
        """Whether Kafka has answered everything."""
        return not self._unanswered

    def answered(self) -> int:
        """Return how many `add`s Kafka has answered in full since the last call, without waiting for any.

        Raises:
            RuntimeError: Kafka refused a record.
        """
        count = 0
        while self._unanswered and all(future.is_done for future in self._unanswered[0]):
            self._require_oldest()
            count += 1
        return count

    def confirm(self) -> None:
        """Require that Kafka has every record: that all have left the producer, which a flush says, is not enough.

        Raises:
            RuntimeError: Kafka refused a record.
        """
        self._client.flush()
        while self._unanswered:
            self._require_oldest()

    def _require_oldest(self) -> None:
        for future in self._unanswered[0]:
            # Asking first costs a tenth of getting.
            if not future.succeeded():
                try:
                    future.get(timeout=_CONFIRM_SECONDS)
                except KafkaError as error:
                    raise _refused(error) from error
        # Not before: who asks again must hear of the refusal again.
        self._unanswered.popleft()


def _refused(error: KafkaError) -> RuntimeError:
    return RuntimeError(f"Kafka refused a record: {error}")
