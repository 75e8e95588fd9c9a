"""What counts as sent, in what steps and at what pace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from spark_jobs.errors import JobError
from spark_jobs.events import replay
from spark_jobs.events.record import Record
from spark_jobs.events.replay import send
from spark_jobs.events.senders import CHUNK


class Target:
    """Takes records as Kafka does, up to the chunk that cannot be handed over; refuses some only when asked."""

    def __init__(self, failing: int | None = None, refusing: bool = False) -> None:
        self.failing, self.refusing = failing, refusing
        self.chunks: list[list[bytes]] = []
        self.times: list[float] = []
        self.confirmed = 0

    def hand_over(self, records: Sequence[Record]) -> None:
        if len(self.chunks) == self.failing:
            raise TimeoutError("no room")
        self.chunks.append([value for _, value in records])
        self.times.append(time.monotonic())

    def confirm(self) -> None:
        if self.refusing:
            raise RuntimeError("refused")
        self.confirmed = sum(map(len, self.chunks))


def records(count: int, breaks_off: bool = False) -> Iterator[tuple[int, Record]]:
    """Records numbered from 11."""
    for number in range(11, 11 + count):
        yield number, (b"", str(number).encode())
    if breaks_off:
        raise JobError("the file breaks off")


def test_all_is_confirmed_and_then_acknowledged() -> None:
    target, acknowledged = Target(), list[tuple[int, int]]()
    assert send(target, records(5), lambda last: acknowledged.append((last, target.confirmed)), 0) == 5
    assert target.chunks == [[b"11", b"12", b"13", b"14", b"15"]]
    assert acknowledged == [(15, 5)]


def test_nothing_to_send_acknowledges_nothing() -> None:
    acknowledged: list[int] = []
    assert send(Target(), records(0), acknowledged.append, 0) == 0
    assert acknowledged == []


def test_every_report_confirms_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_REPORT_SECONDS", 0.0)
    target, acknowledged = Target(), list[tuple[int, int]]()
    send(target, records(CHUNK + 1), lambda last: acknowledged.append((last, target.confirmed)), 0)
    assert acknowledged == [(CHUNK + 10, CHUNK), (CHUNK + 11, CHUNK + 1), (CHUNK + 11, CHUNK + 1)]


def test_a_source_that_breaks_off_keeps_what_was_read() -> None:
    target, acknowledged = Target(), list[int]()
    with pytest.raises(JobError, match="breaks off"):
        send(target, records(CHUNK + 3, breaks_off=True), acknowledged.append, 0)
    assert [len(chunk) for chunk in target.chunks] == [CHUNK, 3]
    assert acknowledged == [CHUNK + 13]


@pytest.mark.parametrize(("failing", "expected"), [(0, []), (2, [2 * CHUNK + 10])])
def test_a_chunk_that_was_not_handed_over_is_not_acknowledged(failing: int, expected: list[int]) -> None:
    acknowledged: list[int] = []
    with pytest.raises(TimeoutError):
        send(Target(failing=failing), records(4 * CHUNK), acknowledged.append, 0)
    assert acknowledged == expected


def test_what_kafka_refused_is_an_error_and_nothing_is_acknowledged() -> None:
    acknowledged: list[int] = []
    with pytest.raises(RuntimeError, match="refused"):
        send(Target(refusing=True), records(5), acknowledged.append, 0)
    assert acknowledged == []


@pytest.mark.parametrize(("rate", "size"), [(1_000_000, CHUNK), (200, 20), (15, 1)])
def test_a_rate_sends_what_is_due_in_steps(rate: float, size: int) -> None:
    target = Target()
    count = 3 * size
    began = time.monotonic()
    send(target, records(count), lambda _last: None, rate)
    assert [len(chunk) for chunk in target.chunks] == [size, size, size]
    # Steps are evenly spaced, the first at once.
    for step, moment in enumerate(target.times):
        assert step * size / rate - 0.001 <= moment - began < step * size / rate + 1.0
    assert time.monotonic() - began >= count / rate - 0.001
