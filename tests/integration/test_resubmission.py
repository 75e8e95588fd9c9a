"""Dead letters on their way back: listed, corrected, re-submitted by the DAG, accepted once or refused again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.stack import RunningStack

# Dead letters by their reason.
Refused = dict[str, dict[str, Any]]

SESSION = "session of the re-submission test"
EVENT: dict[str, Any] = {
    "event_time": "2019-10-15 12:00:00 UTC",
    "event_type": "view",
    "product_id": 1,
    "price": 5.0,
    "user_id": 1,
    "user_session": SESSION,
}
REPAIRABLE = json.dumps(EVENT | {"price": "free"})
HOPELESS = json.dumps(EVENT | {"product_id": 0})
GARBAGE = "garbage of the re-submission test"


def letters(stack: RunningStack, reason: str) -> list[dict[str, Any]]:
    """The open dead letters of this test; those of others are set aside."""
    return list(stack.db["dead_letter_events"].find({"reasons": reason, "resubmitted_at": None}))


def drain(stack: RunningStack) -> dict[str, Any]:
    """Wait until the stream has read everything; returns the driver's counters."""
    drained = stack.job("await_stream", "--timeout", "300")
    assert drained.returncode == 0, drained.stdout + drained.stderr
    driver = stack.db["stream_health"].find_one({"_id": "driver"}) or {}
    assert driver["accepted"] + driver["dead_lettered"] == sum(driver["end_offsets"].values())
    return driver


def resubmit(stack: RunningStack, expect: str = "success", **params: Any) -> tuple[str | None, str]:
    """Run the DAG; returns the state and the log of its task."""
    run_id = stack.run_dag("replay_events", {"source": "dead_letters", **params}, expect)
    log = "\n".join(stack.api.task_log("replay_events", run_id, "replay_events"))
    return stack.api.task_states("replay_events", run_id)["replay_events"], log


def events(stack: RunningStack) -> list[dict[str, Any]]:
    return list(stack.db["enriched_events"].find({"user_session": SESSION}))


@pytest.fixture(scope="module")
def refused(stack: RunningStack) -> Refused:
    """Three records that the stream has refused, by reason, with no other dead letter open."""
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    drain(stack)
    aside = {"$set": {"resubmitted_at": datetime.now(UTC)}}
    stack.db["dead_letter_events"].update_many({"resubmitted_at": None}, aside)
    producer = KafkaProducer(bootstrap_servers=stack.exported["KAFKA_BOOTSTRAP_SERVERS"])
    for text in (REPAIRABLE, HOPELESS, GARBAGE):
        producer.send(stack.exported["SHOPSTREAM_TOPIC"], text.encode())
    producer.close()
    drain(stack)
    found = {one["reasons"][0]: one for one in stack.db["dead_letter_events"].find({"resubmitted_at": None})}
    assert {reason: one["raw"] for reason, one in found.items()} == {
        "bad_price": REPAIRABLE,
        "bad_product_id": HOPELESS,
        "not_json_object": GARBAGE,
    }
    return found


def test_dead_letters_are_listed_by_reason(stack: RunningStack, refused: Refused) -> None:
    table = stack.launcher("job", "dead_letters").stdout
    figures = {line.split()[0]: line.split()[1] for line in table.splitlines() if line.split()[1:]}
    assert [figures[reason] for reason in refused] == ["1", "1", "1"]
    for letter in refused.values():
        assert f"{letter['_id']}: {letter['raw']}" in table
    single = stack.launcher("job", "dead_letters", "--reason", "bad_price", "--limit", "1").stdout.splitlines()
    assert single[1].split()[0] == refused["bad_price"]["_id"]
    assert single[2].strip() == REPAIRABLE


def test_an_unknown_reason_is_refused(stack: RunningStack, refused: Refused) -> None:
    _, log = resubmit(stack, expect="failed", reason="bad_luck")
    assert "bad_price" in log.split("no dead letter has the reason 'bad_luck'")[1]


def test_the_corrected_one_is_accepted_and_the_others_are_refused_again(stack: RunningStack, refused: Refused) -> None:
    repaired, hopeless, garbage = (
        refused[reason]["_id"] for reason in ("bad_price", "bad_product_id", "not_json_object")
    )
    dead = stack.db["dead_letter_events"]
    dead.update_one({"_id": repaired}, {"$set": {"corrected": json.dumps(EVENT)}})
    before = drain(stack)
    _, log = resubmit(stack)
    assert f"{hopeless}: {HOPELESS}"[:100] in log
    assert "3 events sent" in log
    after = drain(stack)
    assert (after["accepted"] - before["accepted"], after["dead_lettered"] - before["dead_lettered"]) == (1, 2)
    assert [(one["_id"], one["price"]) for one in events(stack)] == [(repaired, EVENT["price"])]
    assert (
        dead.count_documents({"_id": {"$in": [repaired, hopeless, garbage]}, "resubmitted_at": {"$type": "date"}}) == 3
    )
    assert letters(stack, "bad_price") == []
    (again,) = letters(stack, "bad_product_id")
    assert again["_id"] != hopeless
    assert json.loads(again["raw"]) == json.loads(HOPELESS) | {"event_id": hopeless}
    (again,) = letters(stack, "not_json_object")
    assert again["_id"] != garbage
    assert again["raw"] == GARBAGE


def test_of_what_was_resubmitted_nothing_is_left(stack: RunningStack, refused: Refused) -> None:
    before = drain(stack)
    state, log = resubmit(stack, reason="bad_price")
    assert state == "skipped"
    assert "no open dead letter has the reason bad_price" in log
    assert drain(stack)["end_offsets"] == before["end_offsets"]


def test_sent_twice_it_is_still_one_event(stack: RunningStack, refused: Refused) -> None:
    """As by the retry of a job that was killed after Kafka had the record and before the letter was marked."""
    letter = refused["bad_price"]["_id"]
    stack.db["dead_letter_events"].update_one({"_id": letter}, {"$unset": {"resubmitted_at": ""}})
    before = drain(stack)
    state, _ = resubmit(stack, reason="bad_price")
    assert state == "success"
    after = drain(stack)
    assert after["accepted"] - before["accepted"] == 1
    assert [one["_id"] for one in events(stack)] == [letter]


def test_the_last_open_ones_corrected_leave_nothing_to_do(stack: RunningStack, refused: Refused) -> None:
    (hopeless,), (garbage,) = letters(stack, "bad_product_id"), letters(stack, "not_json_object")
    for letter, user in ((hopeless, 2), (garbage, 3)):
        corrected = {"corrected": json.dumps(EVENT | {"user_id": user})}
        stack.db["dead_letter_events"].update_one({"_id": letter["_id"]}, {"$set": corrected})
    assert resubmit(stack)[0] == "success"
    drain(stack)
    found = {one["user_id"]: one["_id"] for one in events(stack)}
    assert found == {1: refused["bad_price"]["_id"], 2: hopeless["_id"], 3: garbage["_id"]}
    state, log = resubmit(stack)
    assert state == "skipped"
    assert "nothing to re-submit" in log


def test_the_quality_of_dead_letters_stays_good(stack: RunningStack, refused: Refused) -> None:
    checked = stack.job("validate", "--collections", "dead_letter_events", "--run-id", "resubmission")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    results = list(stack.db["data_quality_results"].find({"run_id": "resubmission"}))
    assert {one["collection"]: one["status"] for one in results}["dead_letter_events"] == "passed", results
