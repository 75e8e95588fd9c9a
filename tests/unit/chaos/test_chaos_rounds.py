"""What a round of chaos says of its kills, and which dead letters it takes for right."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from spark_jobs.audit.compare import compare
from tests.chaos.rounds import Verdict, told
from tests.chaos.topic import dead_letters

EVENT = {
    "event_time": "2019-10-01 00:00:00 UTC",
    "event_type": "view",
    "product_id": "1",
    "price": "1.0",
    "user_id": "1",
    "user_session": "s",
}


def record(offset: int, **changes: str) -> Any:
    return SimpleNamespace(topic="events", partition=1, offset=offset, value=json.dumps(EVENT | changes).encode())


def verdict(*stored: dict[str, Any]) -> tuple[int, int, int]:
    """Judge what became of a valid record and two copies of one that is refused: lost, doubled and different ones."""
    expected = dead_letters([record(0), record(1, price="-3"), record(2, price="-3")])
    found = Verdict()
    found.add("dead_letter_events", compare(stored, expected))
    return found.lost, found.doubled, found.different


def letter(offset: int, reason: str = "bad_price") -> dict[str, Any]:
    raw = json.dumps(EVENT | {"price": "-3"})
    place = {"kafka_partition": 1, "kafka_offset": offset}
    return {"_id": f"events-1-{offset}", "raw": raw, "reasons": [reason], **place}


def test_every_refused_record_is_one_dead_letter_with_its_reasons() -> None:
    assert verdict(letter(1), letter(2)) == (0, 0, 0)
    assert verdict(letter(1)) == (1, 0, 0)
    assert verdict(letter(1), letter(2), letter(0)) == (0, 1, 0)
    assert verdict(letter(1), letter(2, "bad_event_type")) == (0, 0, 1)


def test_a_kill_that_hit_nothing_is_not_told_as_one() -> None:
    assert told(["driver", "kafka"], []) == "killed driver + kafka"
    assert told(["driver"], ["producer"]) == "killed driver (found no producer)"
    assert told([], ["producer", "driver"]) == "killed nothing (found no producer, no driver)"
