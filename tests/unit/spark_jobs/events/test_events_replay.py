"""What counts as sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka.errors import MessageSizeTooLargeError

from spark_jobs.events.record import Record
from spark_jobs.events.replay import send


class Answer:
    """What becomes of a record; as with a producer's future, only asking for it tells."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        assert timeout > 0
        if self.error:
            raise self.error


class Client:
    """Takes records as a producer does, up to the one that cannot even be handed over."""

    def __init__(self, failing: int | None = None, refused: int | None = None) -> None:
        self.failing, self.refused = failing, refused
        self.taken: list[bytes] = []

    def send(self, _topic: str, value: bytes, **_options: object) -> Answer:
        if len(self.taken) == self.failing:
            raise TimeoutError("no room")
        self.taken.append(value)
        return Answer(MessageSizeTooLargeError("too large") if len(self.taken) - 1 == self.refused else None)

    def flush(self) -> None:
        """Nothing is kept back."""


def records(count: int) -> Iterator[tuple[int, Record]]:
    """Records numbered from 11."""
    for number in range(11, 11 + count):
        yield number, (b"", str(number).encode())


def test_all_is_acknowledged_at_the_end() -> None:
    client, acknowledged = Client(), list[int]()
    assert send(client, "t", records(5), acknowledged.append, 0) == 5
    assert client.taken == [b"11", b"12", b"13", b"14", b"15"]
    assert acknowledged == [15]


def test_nothing_to_send_acknowledges_nothing() -> None:
    acknowledged: list[int] = []
    assert send(Client(), "t", records(0), acknowledged.append, 0) == 0
    assert acknowledged == []


@pytest.mark.parametrize(("failing", "expected"), [(0, []), (3, [13])])
def test_a_record_that_was_not_handed_over_is_not_acknowledged(failing: int, expected: list[int]) -> None:
    acknowledged: list[int] = []
    with pytest.raises(TimeoutError):
        send(Client(failing=failing), "t", records(5), acknowledged.append, 0)
    assert acknowledged == expected


def test_a_record_that_kafka_refused_is_an_error_and_nothing_is_acknowledged() -> None:
    acknowledged: list[int] = []
    with pytest.raises(RuntimeError, match=r"refused a record: .*too large"):
        send(Client(refused=3), "t", records(5), acknowledged.append, 0)
    assert acknowledged == []
