"""Documents that are wrong in one way each, and the expectation that must notice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from spark_jobs.quality.outcome import OFFENDERS, Finding

Document = dict[str, Any]
Validated = Callable[[str, list[Document]], dict[str, Finding]]

NULL, BETWEEN, SET = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
)
WRONG_TYPES = "expect_column_values_to_be_null:wrong_types"

# By collection: what to change in a valid document -> expectation that fails because of it.
CORRUPTIONS: dict[str, list[tuple[Document, str]]] = {
    "enriched_events": [
        ({"price": -0.01, "price_category": "Budget"}, f"{BETWEEN}:price"),
        ({"price": None}, f"{NULL}:price"),
        ({"price": "12.50"}, WRONG_TYPES),
        ({"price": float("nan")}, WRONG_TYPES),
        ({"event_type": "click"}, f"{SET}:event_type"),
        ({"price": 50.0, "price_category": "Budget"}, f"{SET}:price_category_fits"),
        ({"user_session": "x" * 129}, "expect_column_value_lengths_to_be_between:user_session"),
        ({"product_id": 0}, f"{BETWEEN}:product_id"),
        ({"event_hour": 24}, f"{BETWEEN}:event_hour"),
        ({"event_hour": 3}, f"{SET}:hour_fits"),
        ({"event_day_of_week": 2, "is_weekend": True}, f"{SET}:weekend_fits"),
        ({"kafka_offset": 0}, "expect_compound_columns_to_be_unique:kafka_partition,kafka_offset"),
    ],
    "event_aggregations": [
        ({"event_count": 0}, f"{BETWEEN}:event_count"),
        ({"avg_price": 1e9}, f"{SET}:prices_ordered"),
        ({"total_revenue": 1e9}, f"{SET}:revenue_fits"),
        ({"unique_users": 1000}, f"{SET}:users_within_events"),
        ({"kind": "category_1w"}, f"{SET}:kind"),
        ({"category_name": None}, f'{NULL}:category_name[col("kind")!="brand_10m"]'),
        ({"price_stddev": -1.0}, f"{BETWEEN}:price_stddev"),
    ],
    "user_session_analytics": [
        ({"has_purchase": True, "purchase_count": 0}, f"{SET}:has_purchase_fits"),
        ({"total_events": 77}, f"{SET}:counts_add_up"),
        ({"conversion_rate": 1.5}, f"{BETWEEN}:conversion_rate"),
        ({"categories_browsed": ["b", "a"]}, f"{SET}:categories_browsed_ascending"),
        ({"categories_browsed": ["a", 7]}, WRONG_TYPES),
        ({"brands_viewed": [f"{n:03d}" for n in range(101)]}, f"{BETWEEN}:brands_viewed_length"),
        ({"journey_stage": "LOST"}, f"{SET}:journey_stage"),
        ({"session_duration_minutes": 500.0}, f"{SET}:duration_fits"),
    ],
    "conversion_funnel": [
        ({"overall_conversion_rate": 101.0}, f"{BETWEEN}:overall_conversion_rate"),
        ({"view_to_cart_rate": 250.0}, f"{SET}:view_to_cart_fits"),
        ({"sessions_with_cart": 10_000}, f"{SET}:sessions_within_total"),
        ({"total_sessions": None}, f"{NULL}:total_sessions"),
    ],
}


@pytest.mark.parametrize("collection", CORRUPTIONS)
def test_corruption_is_found(collection: str, valid: dict[str, list[Document]], validated: Validated) -> None:
    cases = CORRUPTIONS[collection]
    model = valid[collection][0]
    wrong = [
        model | {"kafka_offset": 1000 + number} | change | {"_id": f"{model['_id']}{number:02d}"}
        for number, (change, _) in enumerate(cases)
    ]
    findings = validated(collection, [*valid[collection], *wrong])
    for document, (change, expectation) in zip(wrong, cases, strict=True):
        assert expectation in findings, change
        assert document["_id"] in findings[expectation].offending_ids, (change, findings[expectation])


def test_ends_must_not_come_before_starts(valid: dict[str, list[Document]], validated: Validated) -> None:
    session = valid["user_session_analytics"][0]
    turned = session | {"_id": f"{session['_id']}1", "session_end": session["session_start"] - timedelta(seconds=1)}
    findings = validated("user_session_analytics", [session, turned])
    key = "expect_column_pair_values_a_to_be_greater_than_b:session_end,session_start"
    assert findings[key].offending_ids == [turned["_id"]]
    assert "session_start=2019-10-05 10:00:00" in findings[key].offending_values[0]


def test_offenders_are_bounded_and_counted(valid: dict[str, list[Document]], validated: Validated) -> None:
    wrong = [event | {"brand": None, "_id": f"wrong-{n}"} for n, event in enumerate(valid["enriched_events"])]
    found = validated("enriched_events", wrong)[f"{NULL}:brand"]
    assert found.figures["unexpected_count"] == len(wrong) > OFFENDERS
    assert len(found.offending_ids) == len(found.offending_values) == OFFENDERS
    assert found.severity == "critical"


def test_an_offender_of_a_rule_shows_what_the_rule_looked_at(
    valid: dict[str, list[Document]], validated: Validated
) -> None:
    session = valid["user_session_analytics"][0] | {"has_purchase": True, "purchase_count": 0}
    found = validated("user_session_analytics", [session])[f"{SET}:has_purchase_fits"]
    assert found.offending_values == ["has_purchase=True, purchase_count=0"]


def test_dimensions_of_the_shop_are_checked(validated: Validated) -> None:
    product = {"_id": 1, "product_id": 1, "product_name": "A", "category_name": "b", "price": 2.5, "synthetic": []}
    user = {"_id": 7, "user_id": 7, "country": "DE", "age_group": "25-34", "synthetic": ["country"]}
    assert validated("products", [product]) == {}
    assert validated("users", [user]) == {}
    findings = validated("products", [product, product | {"_id": 2}, product | {"_id": 3, "price": -1.0}])
    assert findings[f"{SET}:id_fits"].offending_ids == [2, 3]
    assert findings[f"{BETWEEN}:price"].offending_ids == [3]
    assert (
        validated("users", [user | {"country": "Germany"}])["expect_column_values_to_match_regex:country"].severity
        == "warning"
    )
