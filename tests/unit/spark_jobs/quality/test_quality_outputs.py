"""Collections that jobs write as of a moment, and those the platform keeps about itself: valid and spoilt documents."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.quality.outcome import Finding, Outcome

Document = dict[str, Any]
Validated = Callable[[str, list[Document]], dict[str, Finding]]

AS_OF = datetime(2019, 11, 1, tzinfo=UTC)
ISO = "2019-11-01T00:00:00Z"
NULL, BETWEEN, SET = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
)
WRONG_TYPES = "expect_column_values_to_be_null:wrong_types"


def _features(user: int) -> Document:
    counts = {"view_count": 3, "cart_count": 1, "remove_from_cart_count": 0, "purchase_count": 1}
    shares = {"budget": 1.0, "mid_range": 0.0, "premium": 0.0, "luxury": 0.0}
    parts = {"night_share": 0.25, "morning_share": 0.25, "afternoon_share": 0.5, "evening_share": 0.0}
    return {
        "_id": f"{ISO}|{user}",
        "as_of": AS_OF,
        "user_id": user,
        "total_events": 5,
        **counts,
        **{f"{band}_affinity": share for band, share in shares.items()},
        **parts,
        "session_count": 2,
        "unique_products": 2,
        "unique_categories": 1,
        "unique_brands": 1,
        "active_days": 2,
        "events_last_7_days": 4,
        "total_spend": 9.5,
        "avg_purchase_value": 9.5,
        "max_purchase_value": 9.5,
        "first_event": AS_OF - timedelta(days=9),
        "last_event": AS_OF - timedelta(days=2),
        "recency_days": 2.0,
        "tenure_days": 9.0,
        "events_per_session": 2.5,
        "view_to_cart_rate": 1 / 3,
        "cart_to_purchase_rate": 1.0,
        "conversion_rate": 0.2,
        "weekend_share": 0.2,
        "value_score": 50.0,
    }


def _segment(user: int) -> Document:
    figures = ("recency_days", "tenure_days", "session_count", "cart_count", "purchase_count", "total_spend")
    features = _features(user)
    kept = {name: features[name] for name in ("_id", "as_of", "user_id", "value_score", "events_per_session", *figures)}
    return kept | {"segment_name": "Champions" if user % 2 else "At Risk"}


def _churn(user: int) -> Document:
    probability = (user * 0.17) % 1
    level = "High" if probability > 0.7 else "Medium"
    document = {"_id": f"{ISO}|{user}", "as_of": AS_OF, "user_id": user, "churn_probability": probability}
    return document | {"churn_prediction": int(probability > 0.5), "risk_level": level}


def _recommendation(kind: str, key: str | int, **keys: int) -> Document:
    entries = [{"rank": rank, "product_id": 100 + rank, "score": 1 / rank} for rank in range(1, 6)]
    document = {"_id": f"{ISO}|{kind}|{key}", "as_of": AS_OF, "kind": kind, **keys}
    return document | {"recommendations": entries}


def _day(number: int) -> Document:
    date = AS_OF - timedelta(days=number)
    return {
        "_id": f"{ISO}|{date:%Y-%m-%d}|view",
        "as_of": AS_OF,
        "date": date,
        "event_type": "view",
        "event_count": 4,
        "unique_users": 2,
        "unique_sessions": 3,
        "revenue": 12.0,
        "ma_3day_events": 4.0,
        "ma_7day_events": 4.0,
        "ma_7day_users": 2.0,
        "day_over_day_growth": None,
    }


def _price_summary(key: str) -> Document:
    prices = ("min_price", "p25_price", "median_price", "p75_price", "p95_price", "max_price")
    return {
        "_id": f"{ISO}|price_summary|{key}",
        "as_of": AS_OF,
        "kind": "price_summary",
        "key": key,
        "event_count": 4,
        "unique_users": 2,
        "avg_price": 3.0,
        "price_stddev": 1.0,
        **{price: float(number) for number, price in enumerate(prices)},
    }


def _correlation(a: str, b: str) -> Document:
    document = {"_id": f"{ISO}|correlation|{a}~{b}", "as_of": AS_OF, "kind": "correlation", "key": f"{a}~{b}"}
    return document | {"measure_a": a, "measure_b": b, "correlation": -0.5, "users": 9}


def _journey(metric: str, **figures: Any) -> Document:
    return {"_id": f"{ISO}|{metric}", "as_of": AS_OF, "metric": metric, **figures}


def _run(model: str, **metrics: Any) -> Document:
    return {
        "_id": f"{ISO}|{model}",
        "kind": "run",
        "as_of": AS_OF,
        "model": model,
        "code_version": "abc",
        "finished_at": AS_OF,
        "metrics": metrics,
        "parameters": {"window_days": 30},
        "artefact_path": "work/x",
        "documents": 9,
        "data_fingerprint": "d",
        "output_fingerprint": "o",
        "duration_seconds": 1.5,
    }


POINTER = {"_id": "latest", "kind": "latest", "as_of": AS_OF, "churn_auc": 0.8, "reason": "first", "promoted_at": AS_OF}
DEAD = {
    "_id": "customer_events-0-7",
    "raw": "no json",
    "reasons": ["not_json_object"],
    "kafka_partition": 0,
    "kafka_offset": 7,
    "kafka_timestamp": AS_OF,
    "processing_timestamp": AS_OF,
}
DRIVER = {
    "_id": "driver",
    "kind": "driver",
    "state": "running",
    "error": None,
    "pid": 7,
    "started_at": AS_OF,
    "updated_at": AS_OF + timedelta(hours=1),
    "trigger_seconds": 2,
    "accepted": 9,
    "dead_lettered": 1,
    "duplicates": 0,
    "late_events": 0,
    "end_offsets": {"0": 10},
}
CHECK = {"_id": f"check|{ISO}", "kind": "check", "checked_at": AS_OF, "healthy": True, "problems": []}
WISH = {"_id": "wish", "kind": "wish", "running": True, "since": AS_OF, "run_id": "manual"}
RESULT = Outcome("users", AS_OF, 1.5, 9, 9, 10).document("run", "run/index.html", None)

VALID: dict[str, list[Document]] = {
    "user_feature_engineering": [_features(user) for user in range(1, 30)],
    "customer_segments": [_segment(user) for user in range(1, 30)],
    "churn_predictions": [_churn(user) for user in range(1, 30)],
    "product_recommendations": [
        *(_recommendation("product", product, product_id=product) for product in range(1, 20)),
        *(_recommendation("user", user, user_id=user) for user in range(1, 20)),
        _recommendation("popular", "all"),
    ],
    "time_series_analysis": [_day(number) for number in range(1, 8)],
    # Enough correlations for both measures to be categories: they are compared with each other.
    "statistical_analysis": [_price_summary("all"), *(_correlation("views", f"carts{n % 2}") for n in range(40))],
    "journey_metrics": [
        _journey(
            "session_funnel",
            total_sessions=10,
            sessions_with_view=9,
            sessions_with_cart=3,
            sessions_with_purchase=2,
            view_to_cart_rate=100 / 3,
            cart_to_purchase_rate=200 / 3,
            overall_conversion_rate=20.0,
        ),
        _journey("drop_off", total_sessions=10, bounce_rate=20.0, view_drop_off_rate=60.0, cart_drop_off_rate=None),
        _journey("time_to_cart", sessions=3, median_minutes=2.0, p90_minutes=4.0),
        _journey("top_paths", paths=[{"rank": 1, "path": "view", "sessions": 6, "share": 60.0}]),
    ],
    "model_runs": [_run("segments", silhouette=0.6), _run("churn", auc=0.8), POINTER],
    "dead_letter_events": [DEAD],
    "stream_health": [DRIVER, CHECK, WISH],
    "data_quality_results": [RESULT],
}
for number, correlation in enumerate(VALID["statistical_analysis"][1:]):
    correlation |= {"_id": f"{correlation['_id']}{number}", "key": f"{correlation['key']}{number}"}

# By collection: number of the valid document to spoil, what to change, expectation that fails because of it.
SPOILT: dict[str, list[tuple[int, Document, str]]] = {
    "user_feature_engineering": [
        (0, {"last_event": AS_OF}, f"{SET}:before_as_of"),
        (0, {"total_events": None}, f"{NULL}:total_events"),
        (0, {"budget_affinity": 1.5}, f"{BETWEEN}:budget_affinity"),
        (0, {"recency_days": 31.0, "tenure_days": 31.0}, f"{BETWEEN}:recency_days"),
        (0, {"purchase_count": 0, "view_count": 4}, f"{SET}:spend_needs_purchase"),
        (0, {}, "expect_compound_columns_to_be_unique:as_of,user_id"),
    ],
    "customer_segments": [
        (0, {"segment_name": "3"}, "expect_column_values_to_match_regex:segment_name"),
        (0, {"segment_name": None}, f"{NULL}:segment_name"),
        (0, {"value_score": 100.5}, f"{BETWEEN}:value_score"),
    ],
    "churn_predictions": [
        (0, {"churn_probability": 1.01, "churn_prediction": 1}, f"{BETWEEN}:churn_probability"),
        (0, {"churn_probability": 0.9, "churn_prediction": 0}, f"{SET}:prediction_fits"),
        (0, {"risk_level": "Huge"}, f"{SET}:risk_level"),
        (0, {"churn_prediction": True}, WRONG_TYPES),
    ],
    "product_recommendations": [
        (0, {"recommendations": []}, f"{BETWEEN}:recommendations_length"),
        (0, {"recommendations": None}, f"{NULL}:recommendations_length"),
        (0, {"product_id": None}, f'{NULL}:product_id[col("kind")=="product"]'),
        (19, {"user_id": None}, f'{NULL}:user_id[col("kind")=="user"]'),
        (0, {"kind": "brand"}, f"{SET}:kind"),
        (0, {}, "expect_column_values_to_match_regex:_id"),
    ],
    "time_series_analysis": [
        (0, {"date": AS_OF}, f"{SET}:before_as_of"),
        (0, {"date": AS_OF - timedelta(days=2, hours=1)}, f"{SET}:at_midnight"),
        (0, {"day_over_day_growth": -100.5}, f"{BETWEEN}:day_over_day_growth"),
        (0, {"unique_users": 5}, f"{SET}:users_within_events"),
    ],
    "statistical_analysis": [
        (0, {"p75_price": 9.0}, f"{SET}:percentiles_rise"),
        (0, {"key": "click"}, f'{SET}:key[col("kind")=="price_summary"]'),
        (1, {"correlation": 1.1}, f"{BETWEEN}:correlation"),
        (1, {"measure_b": "views"}, f"{SET}:two_measures"),
    ],
    "journey_metrics": [
        (0, {"overall_conversion_rate": 120.0}, f"{BETWEEN}:overall_conversion_rate"),
        (0, {"sessions_with_cart": 11}, f"{SET}:sessions_within_total"),
        (2, {"p90_minutes": 1.0}, f"{SET}:median_within_p90"),
        (3, {"paths": []}, f"{BETWEEN}:paths_length"),
    ],
    "model_runs": [
        (1, {"metrics": {"auc": 1.2}}, f"{BETWEEN}:metrics.auc"),
        (1, {"metrics": {"brier": 0.1}}, f'{NULL}:metrics.auc[col("model")=="churn"]'),
        (1, {"metrics": {"auc": 0.4}}, f'{BETWEEN}:metrics.auc[col("model")=="churn"]'),
        (0, {"data_fingerprint": None}, f'{NULL}:data_fingerprint[col("kind")=="run"]'),
        (2, {"churn_auc": None}, f'{NULL}:churn_auc[col("kind")=="latest"]'),
    ],
    "dead_letter_events": [
        (0, {"reasons": []}, f"{BETWEEN}:reasons_length"),
        (0, {"kafka_offset": -1}, f"{BETWEEN}:kafka_offset"),
        (0, {"_id": "somewhere"}, "expect_column_values_to_match_regex:_id"),
    ],
    "stream_health": [
        (0, {"state": "asleep"}, f"{SET}:state"),
        (0, {"state": "failed"}, f"{SET}:state#2"),
        (0, {"accepted": None}, f'{NULL}:accepted[col("kind")=="driver"]'),
        (1, {"problems": [{"kind": "lag"}]}, f"{SET}:verdict_fits"),
        (1, {"healthy": None}, f'{NULL}:healthy[col("kind")=="check"]'),
    ],
    "data_quality_results": [
        (0, {"status": "fine"}, f"{SET}:status"),
        (0, {"critical": 1}, f"{SET}:status_fits"),
        (0, {"successful": 1}, f"{SET}:failures_fit"),
    ],
}


@pytest.mark.parametrize("collection", VALID)
def test_valid_documents_pass(collection: str, validated: Validated) -> None:
    assert validated(collection, VALID[collection]) == {}


@pytest.mark.parametrize("collection", SPOILT)
def test_spoilt_documents_are_found(collection: str, validated: Validated) -> None:
    cases = SPOILT[collection]
    models = [VALID[collection][number] for number, _, _ in cases]
    wrong = [
        model | {"_id": f"{model['_id']}x{number}"} | change
        for number, (model, (_, change, _)) in enumerate(zip(models, cases, strict=True))
    ]
    findings = validated(collection, [*VALID[collection], *wrong])
    for document, (_, change, expectation) in zip(wrong, cases, strict=True):
        assert expectation in findings, change
        assert document["_id"] in findings[expectation].offending_ids, (change, findings[expectation])
