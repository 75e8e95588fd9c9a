"""What the stream takes for a valid event, held against the independent rules of `spark_jobs.audit`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.audit.validate import validate
from spark_jobs.streaming.parse import parse

INGESTED = datetime(2019, 10, 2, tzinfo=UTC)
VALID: dict[str, Any] = {
    "event_id": "e1",
    "event_time": "2019-10-01 00:00:00 UTC",
    "event_type": "view",
    "product_id": 44600062,
    "category_id": 2103807459595387724,
    "category_code": None,
    "brand": "shiseido",
    "price": 35.79,
    "user_id": 541312140,
    "user_session": "72d76fde",
}

CHANGES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "as it is": ({}, []),
    "ISO time": ({"event_time": "2019-10-01T00:00:00Z"}, []),
    "ISO time with fraction and offset": ({"event_time": "2019-10-01T02:00:00.250+02:00"}, []),
    "time without zone": ({"event_time": "2019-10-01T00:00:00"}, []),
    "ids as text": ({"product_id": "7", "user_id": "8", "price": "9.5"}, []),
    "zero price": ({"price": 0}, []),
    "longest session": ({"user_session": "s" * 128}, []),
    "a day ahead": ({"event_time": "2019-10-03 00:00:00 UTC"}, []),
    "extra field": ({"campaign": {"id": 1}}, []),
    "no time": ({"event_time": None}, ["bad_event_time"]),
    "words for a time": ({"event_time": "yesterday"}, ["bad_event_time"]),
    "a thirteenth month": ({"event_time": "2019-13-01 00:00:00 UTC"}, ["bad_event_time"]),
    "more than a day ahead": ({"event_time": "2019-10-03 00:00:01 UTC"}, ["future_event_time"]),
    "unknown type": ({"event_type": "like"}, ["bad_event_type"]),
    "no type": ({"event_type": None}, ["bad_event_type"]),
    "product zero": ({"product_id": 0}, ["bad_product_id"]),
    "negative product": ({"product_id": -4}, ["bad_product_id"]),
    "product over 64 bits": ({"product_id": 2**63}, ["bad_product_id"]),
    "fractional user": ({"user_id": 1.5}, ["bad_user_id"]),
    "words for a user": ({"user_id": "me"}, ["bad_user_id"]),
    "empty session": ({"user_session": ""}, ["bad_user_session"]),
    "too long session": ({"user_session": "s" * 129}, ["bad_user_session"]),
    "negative price": ({"price": -0.01}, ["bad_price"]),
    "no price": ({"price": None}, ["bad_price"]),
    "price that is no number": ({"price": "NaN"}, ["bad_price"]),
    "endless price": ({"price": "Infinity"}, ["bad_price"]),
    "everything": (
        {"event_time": "", "event_type": "", "product_id": None, "user_id": None, "user_session": None, "price": "x"},
        ["bad_event_time", "bad_event_type", "bad_product_id", "bad_user_id", "bad_user_session", "bad_price"],
    ),
}

NO_OBJECTS = [b"", b"null", b"7", b'"text"', b"[]", b'[{"event_id": "e1"}]', b"{", b"{'a': 1}", b"\xff\xfe", b"a,b,c"]
# An object and something else around it.
OBJECT = json.dumps(VALID).encode()
NO_OBJECTS += [OBJECT + b"}", OBJECT + b" x", OBJECT + b"{}", OBJECT + b"\n" + OBJECT, b"x" + OBJECT]

# Braces, or several bytes for a character, where the end of the object is looked for.
OBJECTS = [
    OBJECT + b"\n",
    b" \t" + OBJECT + b" ",
    json.dumps({**VALID, "brand": "}"}).encode(),
    json.dumps({**VALID, "brand": "a}b{"}).encode(),
    json.dumps({**VALID, "brand": "\u00df\u20ac"}, ensure_ascii=False).encode(),
    json.dumps({**VALID, "campaign": {"ids": [{}]}}).encode(),
]

FIRST_OF_OCTOBER = (
    "2019-10-01 00:00:00 UTC",
    "2019-10-01 00:00:00UTC",
    "2019-10-01T00:00:00.000 UTC",
    " 2019-10-01 00:00:00 ",
    "2019-10-01 00:00",
    "2019-10-01T00:00Z",
    "2019-10-01 00:00 UTC",
    "2019-10-01T02:00+02",
    "2019-10-01T02:00:00 +0200",
    "2019-09-30T21:30:00.000999-02:30",
)


def kafka_records(spark: SparkSession, values: list[bytes]) -> DataFrame:
    rows = [("customer_events", 0, offset, INGESTED, bytearray(value)) for offset, value in enumerate(values)]
    return spark.createDataFrame(rows, "topic STRING, partition INT, offset LONG, timestamp TIMESTAMP, value BINARY")


@pytest.fixture(scope="module")
def parsed(spark: SparkSession) -> dict[str, Any]:
    values = [json.dumps({**VALID, **change}).encode() for change, _ in CHANGES.values()]
    rows = parse(kafka_records(spark, values)).orderBy("kafka_offset").collect()
    return dict(zip(CHANGES, rows, strict=True))


@pytest.mark.parametrize("name", CHANGES)
def test_every_broken_rule_is_named(parsed: dict[str, Any], name: str) -> None:
    assert sorted(parsed[name]["reasons"]) == sorted(CHANGES[name][1])


@pytest.mark.parametrize("name", CHANGES)
def test_the_independent_rules_agree(name: str) -> None:
    change, reasons = CHANGES[name]
    assert sorted(validate({**VALID, **change}, ingested_at=INGESTED)) == sorted(reasons)


def test_what_is_no_json_object_is_said_to_be_none(spark: SparkSession) -> None:
    rows = parse(kafka_records(spark, NO_OBJECTS)).collect()
    assert [row["reasons"] for row in rows] == [["not_json_object"]] * len(NO_OBJECTS)


def test_one_object_is_one_whatever_its_text_holds(spark: SparkSession) -> None:
    rows = parse(kafka_records(spark, OBJECTS)).collect()
    assert [row["reasons"] for row in rows] == [[]] * len(OBJECTS)


def test_every_spelling_of_a_moment_is_understood(spark: SparkSession) -> None:
    values = [json.dumps({**VALID, "event_time": text}).encode() for text in FIRST_OF_OCTOBER]
    rows = parse(kafka_records(spark, values)).selectExpr("event_time", "unix_millis(event_timestamp) AS ms").collect()
    moment = round(datetime(2019, 10, 1, tzinfo=UTC).timestamp() * 1000)
    assert {row["event_time"]: row["ms"] for row in rows} == dict.fromkeys(FIRST_OF_OCTOBER, moment)


def test_the_raw_text_is_kept_of_refused_records_only(parsed: dict[str, Any]) -> None:
    assert parsed["as it is"]["raw"] is None
    assert json.loads(parsed["negative price"]["raw"])["price"] == -0.01


def test_times_are_utc_milliseconds(spark: SparkSession) -> None:
    value = json.dumps({**VALID, "event_time": "2019-10-01T02:00:00.250999+02:00"}).encode()
    row = parse(kafka_records(spark, [value])).selectExpr("unix_micros(event_timestamp) AS micros").collect()[0]
    assert timedelta(microseconds=row["micros"]) == datetime(2019, 10, 1, microsecond=250_000, tzinfo=UTC) - datetime(
        1970, 1, 1, tzinfo=UTC
    )


@pytest.mark.parametrize("given", [None, "", "x" * 129])
def test_a_record_without_usable_id_is_known_by_its_place(spark: SparkSession, given: str | None) -> None:
    value = json.dumps({**VALID, "event_id": given}).encode()
    assert parse(kafka_records(spark, [value])).collect()[0]["_id"] == "customer_events-0-0"
