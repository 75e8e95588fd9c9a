"""What the topic holds, and the dead letters that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from spark_jobs.audit.validate import read_record, validate
from tests.stack import RunningStack

# An offset by partition, as the driver's heartbeat has them.
Offsets = dict[str, int]

_SILENCE_MS = 30_000


def ends(stack: RunningStack) -> Offsets:
    """Return the next offset to be given, by partition."""
    with _consumer(stack) as (consumer, places):
        return {str(place.partition): end for place, end in consumer.end_offsets(places).items()}


def read(stack: RunningStack, since: Mapping[str, int]) -> list[ConsumerRecord]:
    """Return the records from the offsets `since` on, by partition; all of a partition that is not named.

    Raises:
        TimeoutError: Kafka did not give all of them.
    """
    with _consumer(stack) as (consumer, places):
        consumer.assign(places)
        for place in places:
            consumer.seek(place, since.get(str(place.partition), 0))
        left = sum(end - consumer.position(place) for place, end in consumer.end_offsets(places).items())
        found = list(islice(consumer, left))
    if len(found) < left:
        raise TimeoutError(f"Kafka gave {len(found)} of {left} records")
    return found


def dead_letters(records: Iterable[ConsumerRecord]) -> dict[str, dict[str, Any]]:
    """Return the documents of `dead_letter_events` that these records must have become, by `_id`.

    A producer that was killed sends some rows again: every copy is a record, and a dead letter, of its own.
    """
    expected = {}
    for one in records:
        if reasons := validate(read_record(one.value)):
            expected[f"{one.topic}-{one.partition}-{one.offset}"] = {
                "raw": one.value.decode(errors="replace"),
                "reasons": reasons,
                "kafka_partition": one.partition,
                "kafka_offset": one.offset,
            }
    return expected


@contextmanager
def _consumer(stack: RunningStack) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
    topic = stack.exported["SHOPSTREAM_TOPIC"]
    consumer = KafkaConsumer(
        bootstrap_servers=stack.exported["KAFKA_BOOTSTRAP_SERVERS"],
        enable_auto_commit=False,
        consumer_timeout_ms=_SILENCE_MS,
    )
    try:
        yield consumer, [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    finally:
        consumer.close()
