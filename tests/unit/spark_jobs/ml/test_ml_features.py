import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.ml.events import EVENT_TYPES
from spark_jobs.ml.features import feature_documents, user_features, with_value_score

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]


def features_of(frame: DataFrame, cutoff: datetime) -> dict[int, dict[str, Any]]:
    return {row["user_id"]: row.asDict() for row in user_features(frame, cutoff).collect()}


def test_one_user_by_hand(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    # as_of is a Friday 00:00 UTC: 5.5 days before is a Saturday at noon.
    events = [
        event(20.0, price=5.0),
        event(5.5, price=50.0, product_id=2, category_name="apparel", brand="other", user_session="s2"),
        event(5.49, "cart", price=50.0, product_id=2, category_name="apparel", brand="other", user_session="s2"),
        event(5.48, "purchase", price=50.0, product_id=2, category_name="apparel", brand="other", user_session="s2"),
        event(1.0, "cart", price=600.0, product_id=3, user_session="s3"),
        event(1.0, "remove_from_cart", price=600.0, product_id=3, user_session="s3"),
        event(1.0, "purchase", price=150.25, product_id=4, user_session="s3"),
        event(0.75, price=100.0, user_session="s3"),
    ]
    user = features_of(frame(events), as_of)[7]
    assert user.pop("first_event").timestamp() == events[0]["event_timestamp"].timestamp()
    assert user.pop("last_event").timestamp() == events[-1]["event_timestamp"].timestamp()
    assert user == pytest.approx(
        {
            "user_id": 7,
            "total_events": 8,
            "view_count": 3,
            "cart_count": 2,
            "remove_from_cart_count": 1,
            "purchase_count": 2,
            "session_count": 3,
            "unique_products": 4,
            "unique_categories": 2,
            "unique_brands": 2,
            "active_days": 3,
            "events_last_7_days": 7,
            "total_spend": 200.25,
            "avg_purchase_value": 100.125,
            "max_purchase_value": 150.25,
            "budget_affinity": 1 / 8,
            "mid_range_affinity": 3 / 8,
            "premium_affinity": 2 / 8,
            "luxury_affinity": 2 / 8,
            "recency_days": 0.75,
            "tenure_days": 20.0,
            "events_per_session": 8 / 3,
            "view_to_cart_rate": 2 / 3,
            "cart_to_purchase_rate": 1.0,
            "conversion_rate": 2 / 8,
            "weekend_share": 4 / 8,
            "night_share": 4 / 8,
            "morning_share": 1 / 8,
            "afternoon_share": 3 / 8,
            "evening_share": 0.0,
        }
    )


def recomputed(events: list[dict[str, Any]], cutoff: datetime) -> dict[int, dict[str, Any]]:
    """The contract of `user_features` once more, in plain Python, over events that all have a price."""
    by_user: dict[int, list[dict[str, Any]]] = {}
    for one in events:
        if cutoff - timedelta(days=30) <= one["event_timestamp"] < cutoff:
            by_user.setdefault(one["user_id"], []).append(one)
    return {user: described(own, cutoff) | {"user_id": user} for user, own in by_user.items()}


def described(events: list[dict[str, Any]], cutoff: datetime) -> dict[str, Any]:
    def share(holds: Iterable[bool]) -> float:
        return sum(holds) / len(events)

    def different(field: str) -> int:
        return len({one[field] for one in events})

    def rate(top: int, bottom: int) -> float | None:
        return top / bottom if bottom else None

    kinds = Counter(one["event_type"] for one in events)
    moments = sorted(one["event_timestamp"] for one in events)
    paid = [one["price"] for one in events if one["event_type"] == "purchase"]
    hours = {"night": 0, "morning": 6, "afternoon": 12, "evening": 18}
    bands = {"budget": (0, 20), "mid_range": (20, 100), "premium": (100, 500), "luxury": (500, math.inf)}
    day = timedelta(days=1)
    return {
        "total_events": len(events),
        **{f"{kind}_count": kinds[kind] for kind in EVENT_TYPES},
        "session_count": different("user_session"),
        "unique_products": different("product_id"),
        "unique_categories": different("category_name"),
        "unique_brands": different("brand"),
        "active_days": len({moment.date() for moment in moments}),
        "events_last_7_days": sum(moment >= cutoff - 7 * day for moment in moments),
        "total_spend": sum(paid),
        "avg_purchase_value": sum(paid) / len(paid) if paid else None,
        "max_purchase_value": max(paid, default=None),
        **{
            f"{name}_affinity": share(low <= one["price"] < high for one in events)
            for name, (low, high) in bands.items()
        },
        "first_event": moments[0],
        "last_event": moments[-1],
        "recency_days": (cutoff - moments[-1]) / day,
        "tenure_days": (cutoff - moments[0]) / day,
        "events_per_session": len(events) / different("user_session"),
        "view_to_cart_rate": rate(kinds["cart"], kinds["view"]),
        "cart_to_purchase_rate": rate(kinds["purchase"], kinds["cart"]),
        "conversion_rate": kinds["purchase"] / len(events),
        "weekend_share": share(moment.weekday() >= 5 for moment in moments),
        **{
            f"{part}_share": share(start <= moment.hour < start + 6 for moment in moments)
            for part, start in hours.items()
        },
    }


def test_a_plain_recomputation_finds_the_same(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    draw = random.Random(7)
    events = [
        event(
            draw.uniform(-1, 33),
            draw.choice(EVENT_TYPES),
            price=draw.randrange(0, 80_000) / 100,
            user_id=draw.randrange(40),
            user_session=f"s{draw.randrange(300)}",
            product_id=draw.randrange(25),
            category_name=draw.choice(["electronics", "apparel", "auto"]),
            brand=draw.choice(["acme", "other", "third"]),
        )
        for _ in range(2_000)
    ]
    expected, found = recomputed(events, as_of), features_of(frame(events), as_of)
    assert sorted(found) == sorted(expected)
    for user, features in found.items():
        for name in ("first_event", "last_event"):
            assert features.pop(name).timestamp() == pytest.approx(expected[user].pop(name).timestamp(), abs=1e-5)
        assert features == pytest.approx(expected[user]), user


def test_the_window_ends_before_the_cutoff_and_starts_30_days_earlier(
    event: MakeEvent, frame: MakeFrame, as_of: datetime
) -> None:
    edges = {1: 0.0, 2: 0.00001, 3: 30.0, 4: 30.00001, 5: -1.0}
    found = features_of(frame(event(days, user_id=user) for user, days in edges.items()), as_of)
    assert sorted(found) == [2, 3]


def test_events_from_the_cutoff_on_change_nothing(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    cutoff = as_of - timedelta(days=7)
    past = [event(7.5 + number, price=20.0 + number, user_id=number % 3) for number in range(12)]
    future = [
        event(7.0 - number / 2, kind, price=999.0, user_id=user, user_session="later", brand="later")
        for number in range(14)
        for user in range(4)
        for kind in ("view", "cart", "purchase")
    ]
    assert features_of(frame(past), cutoff) == features_of(frame(past + future), cutoff)


@pytest.mark.parametrize("price", [None, math.nan, math.inf, 1e12])
def test_what_is_no_price_counts_as_none(
    event: MakeEvent, frame: MakeFrame, as_of: datetime, price: float | None
) -> None:
    user = features_of(frame([event(1, "purchase", price=price)]), as_of)[7]
    assert user["purchase_count"] == 1
    assert (user["total_spend"], user["avg_purchase_value"], user["budget_affinity"]) == (0.0, None, None)


def test_zero_prices_and_nothing_to_divide_by(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    user = features_of(frame([event(1, "purchase", price=0.0, brand=None, category_name=None)]), as_of)[7]
    assert (user["total_spend"], user["avg_purchase_value"], user["budget_affinity"]) == (0.0, 0.0, 1.0)
    assert (user["view_to_cart_rate"], user["cart_to_purchase_rate"], user["conversion_rate"]) == (None, None, 1.0)
    assert (user["unique_brands"], user["unique_categories"]) == (0, 0)


def test_sums_do_not_depend_on_the_order_of_the_events(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    # As doubles, 0.1 + 0.2 + 0.3 depends on it.
    events = [event(1, "purchase", price=price) for price in (0.1, 0.2, 0.3, 1e9, 0.7)]
    forward, backward = (features_of(frame(order), as_of)[7]["total_spend"] for order in (events, events[::-1]))
    assert forward == backward == 1_000_000_001.3


def test_value_score_is_the_mean_percentile(spark: SparkSession) -> None:
    features = spark.createDataFrame(
        [(1, 0.5, 9, 100.0), (2, 3.0, 4, 100.0), (3, 9.0, 1, 0.0)],
        "user_id long, recency_days double, session_count long, total_spend double",
    )
    scores = {row["user_id"]: row["value_score"] for row in with_value_score(features).collect()}
    # Percentiles by recency, sessions, spend: (1, 1, 1/2), (1/2, 1/2, 1/2), (0, 0, 0).
    assert scores == pytest.approx({1: 250 / 3, 2: 50.0, 3: 0.0})


def test_documents_carry_the_run(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    (document,) = feature_documents(user_features(frame([event(1)]), as_of), as_of).collect()
    assert document["_id"] == "2019-11-01T00:00:00Z|7"
    assert document["as_of"].timestamp() == as_of.timestamp()


def test_no_events_make_no_features(frame: MakeFrame, as_of: datetime) -> None:
    assert with_value_score(user_features(frame([]), as_of)).collect() == []
