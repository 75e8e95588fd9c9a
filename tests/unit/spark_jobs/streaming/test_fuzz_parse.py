"""10,000 mutated records: each is a valid document or a dead letter, as the rules of `spark_jobs.audit` say.

`record_mutations` makes the records; they are parsed and enriched by Spark in one batch.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson.codec_options import CodecOptions
from pyspark.sql import SparkSession
from record_mutations import NAMES, encode, fragments, mutations, valid

from spark_jobs.audit.compare import compare
from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.validate import read_record, validate
from spark_jobs.streaming.enrich import PRODUCT_SCHEMA, USER_SCHEMA, with_product
from spark_jobs.streaming.outputs import split
from spark_jobs.streaming.parse import parse
from spark_jobs.streaming.records import arrivals, dead_letters, events

COUNT = 10_000
INGESTED = datetime(2019, 10, 2, tzinfo=UTC)
RECORDS = "topic STRING, partition INT, offset LONG, timestamp TIMESTAMP, value BINARY"

PRODUCTS: dict[int, dict[str, Any]] = {
    1: {"product_name": "Air", "category_name": "footwear", "subcategory": "sneakers"},
    2: {"product_name": "Box", "category_name": None, "subcategory": None},
}
USERS: dict[int, dict[str, Any]] = {
    1: {"country": "DE", "city": "Berlin", "age_group": "25-34", "gender": "female", "user_segment": None}
}

REASONS = {
    "not_json_object",
    "bad_event_time",
    "future_event_time",
    "bad_event_type",
    "bad_product_id",
    "bad_user_id",
    "bad_user_session",
    "bad_price",
}
REQUIRED = {
    "_id": str,
    "event_time": str,
    "event_timestamp": datetime,
    "event_type": str,
    "product_id": int,
    "price": float,
    "user_id": int,
    "user_session": str,
    "brand": str,
    "category_name": str,
    "price_category": str,
    "event_hour": int,
    "event_day_of_week": int,
    "is_weekend": bool,
    "kafka_partition": int,
    "kafka_offset": int,
    "processing_timestamp": datetime,
}
OPTIONAL = {"event_id": str, "category_id": int, "category_code": str, "product_name": str, "subcategory": str}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def records() -> list[bytes | None]:
    return mutations(seed=4, count=COUNT)


@pytest.fixture(scope="module")
def expected(records: list[bytes | None]) -> list[list[str]]:
    """The reasons of every record, by offset."""
    return [validate(read_record(value), ingested_at=INGESTED) for value in records]


@pytest.fixture(scope="module")
def parsed(spark: SparkSession, records: list[bytes | None]) -> Any:
    rows = [
        ("customer_events", offset % 3, offset, INGESTED, None if value is None else bytearray(value))
        for offset, value in enumerate(records)
    ]
    return parse(spark.createDataFrame(rows, RECORDS)).cache()


@pytest.fixture(scope="module")
def arrived(spark: SparkSession, parsed: Any) -> tuple[pa.Table, pa.Table]:
    """The valid events and the refused records, as they reach the driver."""
    products = spark.createDataFrame(
        [(number, *fields.values()) for number, fields in PRODUCTS.items()], PRODUCT_SCHEMA
    )
    users = spark.createDataFrame([(number, *fields.values()) for number, fields in USERS.items()], USER_SCHEMA)
    return split(arrivals(with_product(parsed, products), users).orderBy("kafka_offset").toArrow())


@pytest.fixture(scope="module")
def documents(arrived: tuple[pa.Table, pa.Table]) -> list[Document]:
    return list(events(arrived[0], INGESTED))


def shown(value: bytes | None) -> str:
    return repr(value) if value is None or len(value) < 500 else f"{value[:300]!r} ... {value[-100:]!r}"


def test_the_records_are_of_every_kind(records: list[bytes | None], expected: list[list[str]]) -> None:
    kinds = Counter(tuple(reasons) for reasons in expected)
    assert len(records) == COUNT
    assert len(set(records)) > COUNT * 0.95
    assert kinds[()] > COUNT / 10
    assert {reason for kind in kinds for reason in kind} == REASONS
    assert all(kinds[reason,] > 50 for reason in REASONS - {"future_event_time"}), kinds


def test_every_record_is_judged_as_the_contract_says(
    parsed: Any, records: list[bytes | None], expected: list[list[str]]
) -> None:
    rows = parsed.select("kafka_offset", "reasons").collect()
    assert sorted(row["kafka_offset"] for row in rows) == list(range(COUNT))
    wrong = [
        f"{row['reasons']}, expected {expected[row['kafka_offset']]}: {shown(records[row['kafka_offset']])}"
        for row in rows
        if row["reasons"] != expected[row["kafka_offset"]]
    ]
    assert not wrong, f"{len(wrong)} records are judged otherwise\n" + "\n".join(wrong[:60])


def test_every_valid_record_is_the_document_the_contract_says(
    documents: list[Document], records: list[bytes | None], expected: list[list[str]]
) -> None:
    assert [one["kafka_offset"] for one in documents] == [
        offset for offset, reasons in enumerate(expected) if not reasons
    ]
    wrong = []
    for document in documents:
        offset = document["kafka_offset"]
        record = read_record(records[offset])
        assert isinstance(record, dict)
        place = {"kafka_topic": "customer_events", "kafka_partition": offset % 3, "kafka_offset": offset}
        differences = compare([document], enrich([{**record, **place}], PRODUCTS, USERS, ingested_at=INGESTED))
        if differences:
            wrong.append(f"{shown(records[offset])}\n{differences.summary()}")
    assert not wrong, f"{len(wrong)} documents differ\n" + "\n".join(wrong[:30])


def test_every_document_keeps_to_its_types_and_ranges(documents: list[Document]) -> None:
    for document in documents:
        for name, kind in REQUIRED.items():
            assert type(document[name]) is kind, (name, document)
        for name, kind in OPTIONAL.items():
            assert document[name] is None or type(document[name]) is kind, (name, document)
        assert 0 < document["product_id"] < 2**63
        assert 0 < document["user_id"] < 2**63
        assert 0 <= document["price"] < float("inf")
        assert 1 <= len(document["user_session"]) <= 128
        assert 1 <= len(document["_id"]) <= 128
        assert document["brand"]
        assert document["category_name"]
        assert datetime(1970, 1, 1, tzinfo=UTC) < document["event_timestamp"] <= datetime(2019, 10, 3, tzinfo=UTC)
        assert document["event_timestamp"].microsecond % 1000 == 0


def test_every_document_can_be_stored_and_read_back(documents: list[Document]) -> None:
    aware: CodecOptions[Document] = CodecOptions(tz_aware=True)
    for document in documents:
        assert bson.decode(bson.encode(document), aware) == document


def test_every_dead_letter_can_be_stored_and_has_its_text(
    arrived: tuple[pa.Table, pa.Table], records: list[bytes | None], expected: list[list[str]]
) -> None:
    letters = list(dead_letters(arrived[1], INGESTED))
    assert len(letters) == sum(bool(reasons) for reasons in expected)
    assert len({letter["_id"] for letter in letters}) == len(letters)
    for letter in letters:
        value = records[letter["kafka_offset"]]
        assert bson.decode(bson.encode(letter))["raw"] == letter["raw"]
        if value is None:
            assert letter["raw"] is None
        else:
            assert letter["raw"] == value.decode(errors="replace")


@pytest.mark.parametrize("name", NAMES)
def test_records_without_damage_are_valid(name: str) -> None:
    """The mutations start from something right, and nearly all of them make it wrong where a rule is at stake."""
    dice = random.Random(name)
    assert not validate(read_record(encode(valid(dice, 1))), ingested_at=INGESTED)
    refused = [
        text
        for text in fragments(name)
        if validate(read_record(encode({**valid(dice, 1), name: text})), ingested_at=INGESTED)
    ]
    free = name in ("event_id", "category_id", "category_code", "brand")
    assert len(refused) < len(fragments(name)) / 2 if free else len(refused) > len(fragments(name)) / 4
