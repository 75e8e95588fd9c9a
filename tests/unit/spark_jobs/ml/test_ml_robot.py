"""A robot with a million events: slow, perhaps, but right, and it fits in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.ml.events import clean_prices
from spark_jobs.ml.features import user_features
from spark_jobs.ml.journeys import funnel_documents, visits
from spark_jobs.ml.statistics import price_summary
from spark_jobs.ml.time_series import daily_figures

EVENTS, PRODUCTS = 1_000_000, 50_000


@pytest.fixture(scope="module")
def robot(spark: SparkSession, as_of: datetime) -> Iterator[DataFrame]:
    """A view every two seconds, for 23 days, in one session, of every product of a large shop."""
    start = int((as_of - timedelta(days=24)).timestamp())
    columns = [
        "concat('event-', id) AS _id",
        f"timestamp_seconds({start} + id * 2) AS event_timestamp",
        "'view' AS event_type",
        f"id % {PRODUCTS} AS product_id",
        "'electronics' AS category_name",
        "'acme' AS brand",
        "10.0D AS price",
        "7L AS user_id",
        "'s1' AS user_session",
    ]
    frame = clean_prices(spark.range(EVENTS).selectExpr(*columns)).cache()
    yield frame
    frame.unpersist()


def test_features(robot: DataFrame, as_of: datetime) -> None:
    (user,) = user_features(robot, as_of).collect()
    assert (user["user_id"], user["total_events"], user["unique_products"]) == (7, EVENTS, PRODUCTS)
    assert (user["session_count"], user["active_days"]) == (1, 24)


def test_statistics(robot: DataFrame, as_of: datetime) -> None:
    (row,) = [row for row in price_summary(robot, as_of).collect() if row["key"] == "all"]
    assert (row["event_count"], row["unique_users"], row["median_price"]) == (EVENTS, 1, 10.0)


def test_journeys(robot: DataFrame, as_of: datetime) -> None:
    (funnel,) = funnel_documents(visits(robot), as_of).collect()
    assert (funnel["total_sessions"], funnel["sessions_with_view"], funnel["sessions_with_cart"]) == (1, 1, 0)


def test_time_series(robot: DataFrame, as_of: datetime) -> None:
    first = (as_of - timedelta(days=24)).astimezone(UTC).date()
    rows = daily_figures(robot, first, first + timedelta(days=23)).where("event_type = 'view'").collect()
    assert sum(row["event_count"] for row in rows) == EVENTS
