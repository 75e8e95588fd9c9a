"""The streaming functions, run as a batch, against the independent recomputation of `spark_jobs.audit`."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.audit.compare import compare
from spark_jobs.audit.recompute import recompute
from spark_jobs.streaming import windows
from spark_jobs.streaming.cells import VISIT_PART, cells
from spark_jobs.streaming.enrich import PRODUCT_SCHEMA, USER_SCHEMA, enriched, with_product
from spark_jobs.streaming.open_visits import OpenVisits

START = datetime(2019, 10, 1, tzinfo=UTC)
SCHEMA = (
    "_id STRING, event_timestamp TIMESTAMP, event_type STRING, product_id LONG, category_name STRING, brand STRING, "
    "price DOUBLE, user_id LONG, user_session STRING, kafka_timestamp TIMESTAMP"
)


def events(seed: int, count: int = 600) -> list[dict[str, Any]]:
    """Make events with everything that can go wrong at edges: window bounds, exact gaps, shared session ids."""
    dice = random.Random(seed)
    moments = [START + timedelta(minutes=5 * dice.randrange(60)) for _ in range(count // 2)]
    moments += [START + timedelta(milliseconds=dice.randrange(18_000_000)) for _ in range(count // 2)]
    return [
        {
            "_id": f"e{number}",
            "kafka_timestamp": START,
            "event_timestamp": moment,
            "event_type": dice.choice(["view"] * 6 + ["cart", "remove_from_cart", "purchase"]),
            "product_id": dice.randrange(1, 9),
            "category_name": dice.choice(["electronics", "apparel", "unknown"]),
            # Two are the same as far as visits list them.
            "brand": dice.choice(["apple", "samsung", "unknown", f"{'long' * 40} a", f"{'long' * 40} b"]),
            "price": dice.choice([0.0, 19.99, 20.0, 99.5, 500.0]),
            "user_id": dice.randrange(1, 12),
            "user_session": f"s{dice.randrange(8)}",
        }
        for number, moment in enumerate(moments)
    ]


@pytest.fixture(scope="module")
def sample() -> list[dict[str, Any]]:
    return events(seed=1)


@pytest.fixture(scope="module")
def expected(sample: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return recompute(sample)


@pytest.fixture(scope="module")
def cell_rows(spark: SparkSession, sample: list[dict[str, Any]]) -> Any:
    return cells(spark.createDataFrame(sample, SCHEMA)).cache()


def test_windows_are_those_of_the_recomputation(cell_rows: Any, expected: dict[str, dict[str, Any]]) -> None:
    fetched = windows.figures(cell_rows).toArrow()
    actual: list[dict[str, Any]] = []
    for kind in windows.FIELDS:
        actual += windows.documents(kind, fetched.filter(pc.equal(fetched.column("kind"), kind)), "a checkpoint")
    assert {one["generation"] for one in actual} == {"a checkpoint"}
    assert not compare(actual, expected["event_aggregations"]), compare(
        actual, expected["event_aggregations"]
    ).summary()


@pytest.mark.parametrize("seed", range(5))
def test_visits_do_not_depend_on_how_parts_arrive(
    cell_rows: Any, expected: dict[str, dict[str, Any]], seed: int
) -> None:
    parts = cell_rows.filter(F.col("kind") == VISIT_PART).toArrow().to_pylist()
    random.Random(seed).shuffle(parts)
    open_visits = OpenVisits()
    stored: dict[str, Any] = {}
    for start in range(0, len(parts), 7):
        for _ in range(2):  # a micro-batch that is repeated after a crash
            changes = open_visits.apply(parts[start : start + 7])
            for gone in changes.deletes:
                stored.pop(gone)
            stored.update({visit["_id"]: visit for visit in changes.upserts})
    differences = compare(stored.values(), expected["user_session_analytics"])
    assert not differences, differences.summary()


def test_open_visits_survive_a_restart(cell_rows: Any, expected: dict[str, dict[str, Any]]) -> None:
    parts = cell_rows.filter(F.col("kind") == VISIT_PART).toArrow().to_pylist()
    stored: dict[str, Any] = {}
    for start in range(0, len(parts), 50):
        changes = OpenVisits(stored.values()).apply(parts[start : start + 50])
        for gone in changes.deletes:
            del stored[gone]
        stored.update({visit["_id"]: visit for visit in changes.upserts})
    differences = compare(stored.values(), expected["user_session_analytics"])
    assert not differences, differences.summary()


def test_closed_visits_are_forgotten(cell_rows: Any) -> None:
    open_visits = OpenVisits()
    open_visits.apply(cell_rows.filter(F.col("kind") == VISIT_PART).toArrow().to_pylist())
    assert len(open_visits) > 0
    open_visits.forget(START + timedelta(hours=6))
    assert len(open_visits) == 0


def test_forgetting_closed_visits_changes_nothing_that_comes_later(spark: SparkSession) -> None:
    sample = sorted(events(seed=2), key=lambda event: event["event_timestamp"])
    rows = cells(spark.createDataFrame(sample, SCHEMA)).filter(F.col("kind") == VISIT_PART).toArrow().to_pylist()
    rows.sort(key=lambda row: row["last_event"])
    open_visits = OpenVisits()
    stored: dict[str, Any] = {}
    for row in rows:
        changes = open_visits.apply([row])
        for gone in changes.deletes:
            del stored[gone]
        stored.update({visit["_id"]: visit for visit in changes.upserts})
        # Parts arrive by the time of their last event, so none that is still to come starts before this moment.
        open_visits.forget(row["last_event"] - timedelta(minutes=30))
    differences = compare(stored.values(), recompute(sample)["user_session_analytics"])
    assert not differences, differences.summary()


def test_enrichment_prefers_the_catalogue_and_falls_back(spark: SparkSession) -> None:
    schema = (
        "_id STRING, event_id STRING, event_time STRING, event_timestamp TIMESTAMP, event_type STRING, "
        "product_id LONG, category_id LONG, category_code STRING, brand STRING, price DOUBLE, "
        "user_id LONG, user_session STRING, kafka_partition INT, kafka_offset LONG"
    )
    base = ("e", "e", "t", datetime(2019, 10, 5, 13, tzinfo=UTC), "view")
    frame = spark.createDataFrame(
        [
            (*base, 1, 9, "apparel.shoes", "nike", 19.99, 5, "s", 0, 0),
            (*base, 2, 9, "apparel.shoes", None, 20.0, 6, "s", 0, 1),
            (*base, 3, 9, None, None, 500.0, 6, "s", 0, 2),
        ],
        schema,
    )
    products = spark.createDataFrame([(1, "Air", "footwear", "sneakers")], PRODUCT_SCHEMA)
    users = spark.createDataFrame([(5, "DE", "Berlin", "25-34", "female", "New")], USER_SCHEMA)
    rows = enriched(with_product(frame, products), users).orderBy("kafka_offset").collect()
    assert [row["category_name"] for row in rows] == ["footwear", "apparel", "unknown"]
    assert [row["brand"] for row in rows] == ["nike", "unknown", "unknown"]
    assert [row["price_category"] for row in rows] == ["Budget", "Mid-Range", "Luxury"]
    assert [row["country"] for row in rows] == ["DE", None, None]
    assert (rows[0]["event_hour"], rows[0]["event_day_of_week"], rows[0]["is_weekend"]) == (13, 7, True)
