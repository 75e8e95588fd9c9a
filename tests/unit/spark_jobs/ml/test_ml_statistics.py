import statistics as stdlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame

from spark_jobs.ml.statistics import category_statistics, correlations, price_summary

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]


def by_key(frame: DataFrame) -> dict[str, dict[str, Any]]:
    return {row["key"]: row.asDict() for row in frame.collect()}


def test_price_summary_per_type_and_of_all(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    prices = [10.0, 20.0, 30.0, 40.0, None]
    events = [event(1, price=price, user_id=user) for user, price in enumerate(prices)]
    events.append(event(1, "cart", price=100.0, user_id=0))
    summary = by_key(price_summary(frame(events), as_of))
    assert set(summary) == {"view", "cart", "all"}
    view = summary["view"]
    assert view["_id"] == "2019-11-01T00:00:00Z|price_summary|view"
    assert (view["kind"], view["event_count"], view["unique_users"]) == ("price_summary", 5, 5)
    assert (view["min_price"], view["avg_price"], view["max_price"]) == (10.0, 25.0, 40.0)
    assert view["price_stddev"] == pytest.approx(stdlib.stdev([10.0, 20.0, 30.0, 40.0]))
    assert (view["p25_price"], view["median_price"], view["p75_price"]) == (17.5, 25.0, 32.5)
    assert view["p95_price"] == pytest.approx(38.5)
    assert summary["cart"]["price_stddev"] is None
    assert (summary["all"]["event_count"], summary["all"]["unique_users"]) == (6, 5)
    assert summary["all"]["avg_price"] == 40.0


def test_category_statistics(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    events = [event(1, price=5.0), event(1, price=5.0, user_id=8), event(1, price=None, category_name=None)]
    categories = by_key(category_statistics(frame(events), as_of))
    assert set(categories) == {"electronics", "unknown"}
    electronics = categories["electronics"]
    assert electronics["_id"] == "2019-11-01T00:00:00Z|category|electronics"
    assert (electronics["category_name"], electronics["event_count"], electronics["unique_users"]) == (
        "electronics",
        2,
        2,
    )
    assert (electronics["avg_price"], electronics["price_stddev"]) == (5.0, 0.0)
    assert (electronics["median_price"], electronics["p95_price"]) == (5.0, 5.0)
    assert categories["unknown"]["avg_price"] is None


def test_correlations_over_users(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    # Views 1, 2, 3 and carts 3, 2, 1: perfectly opposed. One session, one day, nothing bought: undefined.
    events = [event(1, user_id=user) for user in (1, 2, 2, 3, 3, 3)]
    events += [event(1, "cart", user_id=user) for user in (1, 1, 1, 2, 2, 3)]
    found = by_key(correlations(frame(events), as_of))
    assert len(found) == 15
    opposed = found["views~carts"]
    assert opposed["_id"] == "2019-11-01T00:00:00Z|correlation|views~carts"
    assert (opposed["measure_a"], opposed["measure_b"], opposed["users"]) == ("views", "carts", 3)
    assert opposed["correlation"] == pytest.approx(-1.0)
    assert found["sessions~views"]["correlation"] is None
    assert found["purchases~spend"]["correlation"] is None
