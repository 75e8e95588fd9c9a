"""What Kafka has of the topic: its identity, offsets, and the newest records. Reads, and changes nothing."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from spark_jobs.config import Config

_TIMEOUT_MS = 10_000
# Older brokers send this one.
_NO_ID = str(UUID(int=0))

Counts = dict[int, int]


class KafkaUnreachable(Exception):  # noqa: N818
    """The brokers did not answer; the message says which and why."""


@dataclass(frozen=True)
class Record:
    """Where a record of the topic is, and the `_id` of the document it must have become.

    Attributes:
        partition: Its partition.
        offset: Its offset.
        event_id: The producer's id of the event, or None.
        position: `topic-partition-offset`, the `_id` of events without id and of dead letters.
    """

    partition: int
    offset: int
    event_id: str | None
    position: str


class Topic:
    """A consumer of the configured topic that belongs to no group."""

    def __init__(self, consumer: KafkaConsumer, name: str) -> None:
        self._consumer = consumer
        self._name = name
        self._partitions = [TopicPartition(name, number) for number in sorted(consumer.partitions_for_topic(name))]

    def offsets(self) -> tuple[Counts, Counts]:
        """First offset still there, and next offset to be given, both by partition; empty without the topic."""
        if not self._partitions:
            return {}, {}
        beginning = self._consumer.beginning_offsets(self._partitions, timeout_ms=_TIMEOUT_MS)
        end = self._consumer.end_offsets(self._partitions, timeout_ms=_TIMEOUT_MS)
        return {p.partition: offset for p, offset in beginning.items()}, {p.partition: o for p, o in end.items()}

    def newest(self, ends: Mapping[int, int], beginning: Mapping[int, int], count: int) -> Iterator[Record]:
        """Read the newest records below the given offsets.

        Args:
            ends: Offset to end before, by partition.
            beginning: First offset still there, by partition.
            count: Records per partition; fewer where the topic has fewer.
        """
        for partition in self._partitions:
            end = ends.get(partition.partition, 0)
            start = max(beginning.get(partition.partition, 0), end - count)
            if start < end:
                yield from self._read(partition, start, end)

    def _read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        self._consumer.assign([partition])
        self._consumer.seek(partition, start)
        deadline = time.monotonic() + _TIMEOUT_MS / 1000
        while self._consumer.position(partition) < end and time.monotonic() < deadline:
            for record in self._consumer.poll(timeout_ms=1000).get(partition, []):
                if record.offset < end:
                    position = f"{self._name}-{record.partition}-{record.offset}"
                    yield Record(record.partition, record.offset, _event_id(record.value), position)


@contextmanager
def open_topic(config: Config) -> Iterator[Topic]:
    """Connect to the configured topic, which is not created if it does not exist.

    Raises:
        KafkaUnreachable: No answer within ten seconds, or a refusal, now or while the topic is read.
    """
    with _answering(config):
        consumer = KafkaConsumer(
            allow_auto_create_topics=False, enable_auto_commit=False, group_id=None, **_connection(config)
        )
        try:
            yield Topic(consumer, config.topic)
        finally:
            consumer.close()


def topic_id(config: Config) -> str:
    """Return the id that Kafka gave the configured topic when it was made: one made anew has another.

    Empty where there is no such topic, or the brokers give no ids.

    Raises:
        KafkaUnreachable: As for `open_topic`.
    """
    with _answering(config):
        client = KafkaAdminClient(**_connection(config))
        try:
            found = client.describe_topics([config.topic])
        finally:
            client.close()
    ids = (one.get("topic_id") for one in found if one.get("name") == config.topic)
    return next((str(one) for one in ids if one and str(one) != _NO_ID), "")


def _connection(config: Config) -> dict[str, Any]:
    return {
        "bootstrap_servers": config.kafka_bootstrap.split(","),
        "bootstrap_timeout_ms": _TIMEOUT_MS,
        "request_timeout_ms": _TIMEOUT_MS,
        **config.kafka_login.client_options(),
    }


@contextmanager
def _answering(config: Config) -> Iterator[None]:
    """Say in one sentence what the client library says in many."""
    # It logs every attempt; the exception says the same once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        yield
    except (KafkaError, OSError, ValueError) as error:
        place = f"{config.kafka_bootstrap}{config.kafka_login.way}"
        raise KafkaUnreachable(f"no answer from Kafka at {place} ({error}): `make status`") from None


def _event_id(value: bytes | None) -> str | None:
    try:
        event = json.loads(value or b"")
    except ValueError:
        return None
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return None if event_id is None else str(event_id).strip() or None
