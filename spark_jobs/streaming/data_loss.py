"""Records that Kafka deleted before the stream read them: found, refused, and on record once somebody accepts the loss.

`stream_health` holds one document of kind `data_loss` per accepted gap, for ever. The acceptance itself is a person's:
`streaming_lifecycle` writes it when it is triggered with `accept_data_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo.database import Database

from spark_jobs.errors import JobError
from spark_jobs.mongo import Document
from spark_jobs.streaming.checkpoint import WAY_ON

ACCEPTANCE_ID = "accept_data_loss"
KIND = "data_loss"


@dataclass(frozen=True)
class Gap:
    """Records of one partition that are no longer in the topic: from `first` up to but not including `next`."""

    partition: int
    first: int
    next: int

    @property
    def records(self) -> int:
        """How many records are missing."""
        return self.next - self.first

    def __str__(self) -> str:
        return f"partition {self.partition}: offsets {self.first} to {self.next - 1} ({self.records} records)"


def gaps(position: Mapping[int, int], beginning: Mapping[int, int]) -> list[Gap]:
    """Return what lies between the next offset to read and the first one Kafka still has.

    Args:
        position: Next offset to read, by partition.
        beginning: First offset in the topic, by partition.
    """
    return [
        Gap(partition, position[partition], first)
        for partition, first in sorted(beginning.items())
        if first > position.get(partition, first)
    ]


def require_same_topic(position: Mapping[int, int], end: Mapping[int, int], topic: str, remade: bool) -> None:
    """Refuse a topic that was deleted and made again, or cut: one that ends before the position of the stream.

    Args:
        position: Next offset to read, by partition.
        end: Next offset to be given, by partition.
        topic: Its name.
        remade: Whether Kafka itself says that it is another topic of that name.

    Raises:
        JobError: Names the topic, or partition and offsets.
    """
    if remade:
        raise JobError(
            f"the topic {topic} was made anew since the stream has read from it: its records are others, whatever "
            f"their offsets (the way on: {WAY_ON})"
        )
    for partition, offset in sorted(position.items()):
        last = end.get(partition, 0)
        if last < offset:
            raise JobError(
                f"partition {partition} of {topic} ends at offset {last}, but the stream has read up to {offset}: the "
                f"topic was made anew or its data was lost (the way on: {WAY_ON})"
            )


def settle(db: Database[Document], found: Sequence[Gap], topic: str) -> None:
    """Require that every gap has been accepted, and put on record those that are accepted just now.

    Raises:
        JobError: Somebody has to decide; names every partition and its missing offsets.
    """
    health = db["stream_health"]
    open_gaps = [gap for gap in found if not health.find_one({"_id": _id(gap)})]
    if not open_gaps:
        return
    acceptance = health.find_one({"_id": ACCEPTANCE_ID})
    if acceptance is None:
        raise JobError(
            f"data loss: records of {topic} expired before they were read: {'; '.join(map(str, open_gaps))}. To go on "
            "without them trigger streaming_lifecycle with `accept_data_loss`; the gap stays on record in stream_health"
        )
    for gap in open_gaps:
        document = {
            "_id": _id(gap),
            "kind": KIND,
            "partition": gap.partition,
            "first_offset": gap.first,
            "next_offset": gap.next,
            "records": gap.records,
            "accepted_at": acceptance["at"],
            "accepted_by": acceptance["run_id"],
            "recorded_at": datetime.now(UTC),
        }
        health.replace_one({"_id": document["_id"]}, document, upsert=True)


def forget_acceptance(db: Database[Document]) -> None:
    """Delete an acceptance, used or not: left behind, it would accept losses that nobody knows of yet."""
    db["stream_health"].delete_one({"_id": ACCEPTANCE_ID})


def _id(gap: Gap) -> str:
    return f"{KIND}|{gap.partition}|{gap.first}-{gap.next}"
