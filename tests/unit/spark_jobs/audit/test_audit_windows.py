"""`event_aggregations`: every figure by hand, and the edges of each kind of window."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from spark_jobs.audit.recompute import recompute

Document = dict[str, Any]
MakeEvent = Callable[..., Document]


def aggregations(events: list[Document], kind: str) -> dict[str, Document]:
    documents = recompute(events)["event_aggregations"]
    assert all(document_id == document["_id"] for document_id, document in documents.items())
    return {document_id: document for document_id, document in documents.items() if document["kind"] == kind}


def test_no_events_make_no_documents() -> None:
    assert recompute([]) == {"event_aggregations": {}, "user_session_analytics": {}, "conversion_funnel": {}}


def test_category_5m_by_hand(make_event: MakeEvent) -> None:
    events = [
        make_event(0, price=2.0, user_id=1, user_session="a"),
        make_event(1, price=4.0, user_id=1, user_session="b"),
        make_event(4.99, price=9.0, user_id=2, user_session="b"),
        make_event(1, "cart", price=100.0),
        make_event(1, price=100.0, category_name="unknown"),
    ]
    documents = aggregations(events, "category_5m")
    assert set(documents) == {
        "category_5m|2019-10-01T00:00:00Z|electronics|view",
        "category_5m|2019-10-01T00:00:00Z|electronics|cart",
        "category_5m|2019-10-01T00:00:00Z|unknown|view",
    }
    document = documents["category_5m|2019-10-01T00:00:00Z|electronics|view"]
    # mean 5; deviations -3, -1, 4; sum of squares 26; 26 / 2 = 13
    assert document.pop("price_stddev") == pytest.approx(13**0.5)
    assert document == {
        "_id": "category_5m|2019-10-01T00:00:00Z|electronics|view",
        "kind": "category_5m",
        "window_start": datetime(2019, 10, 1, tzinfo=UTC),
        "window_end": datetime(2019, 10, 1, 0, 5, tzinfo=UTC),
        "category_name": "electronics",
        "event_type": "view",
        "event_count": 3,
        "unique_users": 2,
        "unique_sessions": 2,
        "avg_price": 5.0,
        "total_revenue": 15.0,
        "min_price": 2.0,
        "max_price": 9.0,
    }


def test_stddev_is_null_for_one_event_and_zero_for_equal_prices(make_event: MakeEvent) -> None:
    events = [make_event(0), make_event(1, "cart"), make_event(2, "cart")]
    documents = aggregations(events, "category_5m")
    assert documents["category_5m|2019-10-01T00:00:00Z|electronics|view"]["price_stddev"] is None
    assert documents["category_5m|2019-10-01T00:00:00Z|electronics|cart"]["price_stddev"] == 0.0


def test_prices_whose_sum_exceeds_a_double_do_not_break_the_audit(make_event: MakeEvent) -> None:
    (document,) = aggregations([make_event(0, price=1.7e308), make_event(1, price=1.7e308)], "category_5m").values()
    assert document["total_revenue"] == float("inf")
    assert document["max_price"] == 1.7e308


def test_a_tumbling_window_includes_its_start_and_excludes_its_end(make_event: MakeEvent) -> None:
    millisecond = timedelta(milliseconds=1)
    edge = datetime(2019, 10, 1, 0, 5, tzinfo=UTC)
    events = [make_event(event_timestamp=edge - millisecond), make_event(event_timestamp=edge)]
    documents = aggregations(events, "category_5m")
    assert {document_id: document["event_count"] for document_id, document in documents.items()} == {
        "category_5m|2019-10-01T00:00:00Z|electronics|view": 1,
        "category_5m|2019-10-01T00:05:00Z|electronics|view": 1,
    }


@pytest.mark.parametrize(
    ("minutes", "starts"),
    [
        (0, ["2019-09-30T23:55:00Z", "2019-10-01T00:00:00Z"]),
        (4.999, ["2019-09-30T23:55:00Z", "2019-10-01T00:00:00Z"]),
        (5, ["2019-10-01T00:00:00Z", "2019-10-01T00:05:00Z"]),
        (12, ["2019-10-01T00:05:00Z", "2019-10-01T00:10:00Z"]),
    ],
)
def test_brand_10m_has_each_event_in_two_windows(make_event: MakeEvent, minutes: float, starts: list[str]) -> None:
    documents = aggregations([make_event(minutes)], "brand_10m")
    assert sorted(documents) == [f"brand_10m|{start}|acme" for start in starts]


def test_brand_10m_by_hand(make_event: MakeEvent) -> None:
    events = [
        make_event(1, price=10.0, user_id=1),
        make_event(6, "purchase", price=20.0, user_id=1),
        make_event(7, "cart", price=60.0, user_id=2),
        make_event(7, brand="other"),
    ]
    documents = aggregations(events, "brand_10m")
    assert documents["brand_10m|2019-10-01T00:00:00Z|acme"] == {
        "_id": "brand_10m|2019-10-01T00:00:00Z|acme",
        "kind": "brand_10m",
        "window_start": datetime(2019, 10, 1, tzinfo=UTC),
        "window_end": datetime(2019, 10, 1, 0, 10, tzinfo=UTC),
        "brand": "acme",
        "event_count": 3,
        "unique_users": 2,
        "avg_price": 30.0,
    }
    assert documents["brand_10m|2019-10-01T00:05:00Z|acme"]["avg_price"] == 40.0
    assert documents["brand_10m|2019-09-30T23:55:00Z|acme"]["event_count"] == 1


def test_category_1h_pivots_counts_and_revenue(make_event: MakeEvent) -> None:
    events = [
        make_event(0, price=1.0),
        make_event(59.9, price=2.0),
        make_event(30, "cart", price=4.0),
        make_event(30, "remove_from_cart", price=8.0),
        make_event(60, "purchase", price=16.0),
    ]
    documents = aggregations(events, "category_1h")
    assert documents["category_1h|2019-10-01T00:00:00Z|electronics"] == {
        "_id": "category_1h|2019-10-01T00:00:00Z|electronics",
        "kind": "category_1h",
        "window_start": datetime(2019, 10, 1, tzinfo=UTC),
        "window_end": datetime(2019, 10, 1, 1, tzinfo=UTC),
        "category_name": "electronics",
        "view_count": 2,
        "cart_count": 1,
        "purchase_count": 0,
        "view_revenue": 3.0,
        "cart_revenue": 4.0,
        "purchase_revenue": 0.0,
    }
    assert documents["category_1h|2019-10-01T01:00:00Z|electronics"]["purchase_revenue"] == 16.0


def test_an_hour_of_removals_only_is_a_document_of_zeros(make_event: MakeEvent) -> None:
    (document,) = aggregations([make_event(0, "remove_from_cart")], "category_1h").values()
    assert (document["view_count"], document["cart_count"], document["purchase_count"]) == (0, 0, 0)


@pytest.mark.parametrize(
    "timestamp",
    [
        datetime(2019, 10, 1, 0, 3, tzinfo=UTC).replace(tzinfo=None),
        datetime(2019, 10, 1, 0, 3, tzinfo=UTC),
        datetime(2019, 10, 1, 5, 33, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2019, 10, 1, 0, 3, 0, 999, tzinfo=UTC),
    ],
    ids=["naive", "utc", "other zone", "below a millisecond"],
)
def test_the_same_instant_in_any_form_gives_the_same_documents(make_event: MakeEvent, timestamp: datetime) -> None:
    reference = recompute([make_event(3)])
    assert recompute([make_event(event_timestamp=timestamp)]) == reference


def test_windows_before_1970_are_aligned_too(make_event: MakeEvent) -> None:
    documents = aggregations([make_event(event_timestamp=datetime(1969, 12, 31, 23, 58, tzinfo=UTC))], "category_5m")
    assert list(documents) == ["category_5m|1969-12-31T23:55:00Z|electronics|view"]


@pytest.mark.parametrize("field", ["event_timestamp", "brand", "price", "user_session"])
def test_a_null_that_the_contract_excludes_is_refused(make_event: MakeEvent, field: str) -> None:
    with pytest.raises(ValueError, match=f"has no {field}"):
        recompute([make_event(**{field: None})])


def test_two_documents_with_one_id_are_refused(make_event: MakeEvent) -> None:
    with pytest.raises(ValueError, match="only 1 distinct"):
        recompute([make_event(_id="x"), make_event(_id="x")])
