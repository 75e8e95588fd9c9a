"""What is sent for a dead letter, and what people get to see of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.errors import JobError
from spark_jobs.events.dead_letter_tables import letter_table, reason_table
from spark_jobs.events.dead_letters import ReasonCount, record, selection
from spark_jobs.streaming.parse import parse

ID = "customer_events-2-17"
NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


def letter(raw: str | None, **fields: Any) -> dict[str, Any]:
    return {"_id": ID, "raw": raw, "reasons": ["bad_price"], "kafka_timestamp": NOON, **fields}


def count(reason: str, still_open: int = 1, raw: str = "{}") -> ReasonCount:
    return ReasonCount(reason, still_open, 2, NOON, NOON, (ID, raw))


NO_OBJECTS = [
    "garbage",
    "",
    "[1]",
    '"{}"',
    "{broken: json",
    '{"price": NaN}',
    '{"price": 1} trailing',
    "1e9999",
    "{" * 5000,
]


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_what_is_no_json_object_is_sent_as_it_is(text: str) -> None:
    assert record(letter(text)) == (b"", text.encode())


def test_a_record_without_value_is_sent_as_an_empty_one() -> None:
    assert record(letter(None)) == (b"", b"")


def test_deep_nesting_is_sent_as_it_is() -> None:
    text = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert record(letter(text)) == (b"", text.encode())


def test_an_empty_object_gets_an_identity() -> None:
    assert record(letter("  { }")) == (b"", f'  {{ "event_id":"{ID}"}}'.encode())


@pytest.mark.parametrize("event_id", ['"x"', '" "', f'"{"x" * 128}"'])
def test_an_event_keeps_its_identity_and_every_character(event_id: str) -> None:
    text = '{"event_id": ' + event_id + ', "user_session": "s1", "price": "free"}'
    assert record(letter(text)) == (b"s1", text.encode())


def test_all_else_stays_as_it_was_written() -> None:
    text = '{"price": 1.10, "product_id": 123456789012345678901, "x": null, "brand": "\\u00e9é", "x": 2 }\n'
    value = record(letter(text))[1].decode()
    assert value == text.replace(" }\n", f' ,"event_id":"{ID}"}}\n')


# JSON objects as senders may write them, by whether the event has an id of its own.
OBJECTS = {
    '{"user_session":"s1"}': False,
    '{"event_id":null,"user_session":"s1"}': False,
    '{"user_session":"s1","event_id":""}': False,
    '{"user_session":"s1","event_id":" "}': True,
    '{"event_id":"' + "x" * 129 + '"}': False,
    '{"event_id":"x","event_id":null}': False,
    "  { }": False,
    '\n{"price":1}\t': False,
    '{"a":{"event_id":"inner"}}': False,
    '{"event_id":"x"}': True,
    '{"event_id":7}': False,
    '{"event_id":true}': False,
    '{"event_id":"' + "x" * 128 + '"}': True,
    '{"event_id":null,"event_id":"x"}': True,
}


RECORD_SCHEMA = "value BINARY, topic STRING, partition INT, offset LONG, timestamp TIMESTAMP"


def sent(spark: SparkSession, texts: Iterable[str]) -> DataFrame:
    """What the stream reads when these letters come again, at another place of the topic."""
    rows = [(record(letter(text))[1], "customer_events", 0, 99, NOON) for text in texts]
    return parse(spark.createDataFrame(rows, RECORD_SCHEMA))


def test_the_stream_agrees_about_who_has_an_identity(spark: SparkSession) -> None:
    parsed = [row["_id"] for row in sent(spark, OBJECTS).select("_id").collect()]
    assert "customer_events-0-99" not in parsed
    assert {text: found != ID for text, found in zip(OBJECTS, parsed, strict=True)} == OBJECTS


def test_the_stream_agrees_about_what_is_no_object(spark: SparkSession) -> None:
    found = sent(spark, NO_OBJECTS).select("reasons", "raw").collect()
    assert [(row["raw"], row["reasons"]) for row in found] == [(text, ["not_json_object"]) for text in NO_OBJECTS]


def test_what_a_person_corrected_is_sent_instead() -> None:
    key, value = record(letter("garbage", corrected='{"user_session":"s2","price":9.99}'))
    assert key == b"s2"
    assert json.loads(value) == {"user_session": "s2", "price": 9.99, "event_id": ID}
    assert record(letter('{"a":1}', corrected="")) == (b"", b"")


@pytest.mark.parametrize(("session", "key"), [("7", b""), ("null", b""), ('""', b""), ('"\\ud800"', b"?")])
def test_a_session_that_is_no_text_is_no_key(session: str, key: bytes) -> None:
    assert record(letter('{"event_id":"x","user_session":' + session + "}"))[0] == key


def test_an_unknown_reason_is_refused_with_those_that_exist() -> None:
    counts = [count("not_json_object"), count("bad_price", 0)]
    assert selection("bad_price", counts) == {"reasons": "bad_price"}
    assert selection("", counts) == selection(None, counts) == {}
    with pytest.raises(JobError, match=r"'bad_luck' \(there are: bad_price, not_json_object\)"):
        selection("bad_luck", counts)
    assert selection("bad_luck", []) == {"reasons": "bad_luck"}


def test_reasons_are_shown_with_figures_and_an_example() -> None:
    lines = reason_table([count("bad_price", 12_000, "free"), count("x")], None)
    assert [line.split() for line in lines] == [
        ["REASON", "OPEN", "RE-SUBMITTED", "FIRST", "LAST"],
        ["bad_price", "12000", "2", "2019-10-01", "12:00:00", "2019-10-01", "12:00:00"],
        [f"{ID}:", "free"],
        ["x", "1", "2", "2019-10-01", "12:00:00", "2019-10-01", "12:00:00"],
        [f"{ID}:", "{}"],
    ]
    assert lines[1].index("12000") == lines[0].index("OPEN") == lines[3].index("1 ")


def test_letters_are_shown_with_what_became_of_them() -> None:
    letters = [letter("a"), letter("b", corrected="c"), letter("d", corrected="e", resubmitted_at=NOON)]
    lines = letter_table(letters, None)[1::2]
    states = [line.split(maxsplit=3)[3].rsplit(maxsplit=1)[0] for line in lines]
    assert states == ["open", "corrected", "re-submitted 2019-10-01 12:00:00"]


def test_text_of_strangers_stays_on_its_line_and_commands_nothing() -> None:
    lines = letter_table([letter("\x1b[2J\nerror: x\x00\u202e" + "é" * 1_000_000)], 60)
    assert len(lines) == 3
    assert all(len(line) <= 60 for line in lines)
    assert lines[2].startswith("    \\x1b[2J\\nerror: x\\x00\\u202eéé")
    assert all(line.isprintable() for line in lines)
