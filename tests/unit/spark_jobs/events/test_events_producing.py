"""Which partition a record goes to, and when Kafka has it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka.errors import MessageSizeTooLargeError
from kafka.partitioner.default import DefaultPartitioner

from spark_jobs.events.producing import Outbox, Placement
from spark_jobs.events.record import Record


class Answer:
    """What becomes of a record; as with a producer's future, only asking for it tells."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.is_done = error, False

    def succeeded(self) -> bool:
        return self.is_done and self.error is None

    def get(self, timeout: float) -> None:
        assert timeout > 0
        if self.error:
            raise self.error


class Client:
    """A producer of a topic with three partitions; answers when flushed."""

    def __init__(self, refused: bytes = b"", too_large: bytes = b"") -> None:
        self.refused, self.too_large = refused, too_large
        self.sent: list[tuple[int, bytes | None, bytes]] = []
        self.answers: list[Answer] = []

    def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1, 2}

    def send(self, _topic: str, value: bytes, key: bytes | None, _headers: None, partition: int) -> Answer:
        if value == self.too_large:
            raise MessageSizeTooLargeError("too large")
        self.sent.append((partition, key, value))
        self.answers.append(Answer(MessageSizeTooLargeError("too large") if value == self.refused else None))
        return self.answers[-1]

    def flush(self) -> None:
        for answer in self.answers:
            answer.is_done = True


def chunk(*values: bytes) -> list[Record]:
    return [(b"a session", value) for value in values]


def test_a_session_goes_where_every_producer_would_put_it() -> None:
    cluster = SimpleNamespace(
        topics=lambda: {"t"},
        partitions_for_topic=lambda _topic: {0, 1, 2},
        available_partitions_for_topic=lambda _topic: {0, 1, 2},
    )
    keys = [f"session {number}".encode() for number in range(500)]
    placed = list(Placement(3).place((key, b"value") for key in keys + keys))
    usual = [DefaultPartitioner().partition("t", None, key, None, None, cluster) for key in keys]
    assert [place for place, _, _ in placed] == usual + usual
    assert set(usual) == {0, 1, 2}


def test_records_without_a_key_take_turns() -> None:
    placed = Placement(3).place([(b"", b"a"), (b"", b"b"), (b"", b"c"), (b"", b"d")])
    assert [place for place, _, _ in placed] == [0, 1, 2, 0]


def test_records_are_sent_in_order_and_an_empty_key_is_none() -> None:
    client = Client()
    outbox = Outbox(client, "t")
    outbox.hand_over([(b"", b"1"), (b"key", b"2")])
    assert [(key, value) for _, key, value in client.sent] == [(None, b"1"), (b"key", b"2")]


def test_answers_are_counted_by_chunk_without_waiting() -> None:
    client = Client()
    outbox = Outbox(client, "t")
    assert outbox.idle
    outbox.hand_over(chunk(b"1", b"2"))
    outbox.hand_over([])
    outbox.hand_over(chunk(b"3"))
    client.answers[0].is_done = client.answers[2].is_done = True
    assert outbox.answered() == 0
    client.answers[1].is_done = True
    assert (outbox.answered(), outbox.answered(), outbox.idle) == (3, 0, True)


def test_a_refused_record_is_an_error_as_often_as_one_asks() -> None:
    outbox = Outbox(Client(refused=b"2"), "t")
    outbox.hand_over(chunk(b"1", b"2"))
    outbox.hand_over(chunk(b"3"))
    for ask in (outbox.confirm, outbox.confirm, outbox.answered):
        with pytest.raises(RuntimeError, match=r"Kafka refused a record: .*too large"):
            ask()


def test_a_record_that_the_producer_does_not_take_was_refused() -> None:
    outbox = Outbox(Client(too_large=b"2"), "t")
    outbox.hand_over(chunk(b"1"))
    with pytest.raises(RuntimeError, match=r"Kafka refused a record: .*too large"):
        outbox.hand_over(chunk(b"2"))
    outbox.confirm()
    assert outbox.idle
