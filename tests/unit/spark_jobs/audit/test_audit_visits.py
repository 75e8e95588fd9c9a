"""`user_session_analytics` and `conversion_funnel`: every figure by hand, and the edges of visits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.audit.recompute import recompute
from spark_jobs.audit.visits import behavior, journey_stage

Document = dict[str, Any]
MakeEvent = Callable[..., Document]


def visits(events: list[Document]) -> dict[str, Document]:
    documents = recompute(events)["user_session_analytics"]
    assert all(document_id == document["_id"] for document_id, document in documents.items())
    return documents


def funnel(events: list[Document]) -> dict[str, Document]:
    documents = recompute(events)["conversion_funnel"]
    assert all(document_id == document["_id"] for document_id, document in documents.items())
    return documents


def test_a_visit_by_hand(make_event: MakeEvent) -> None:
    events = [
        make_event(20, "purchase", price=50.0, product_id=2, category_name="toys", brand="zeta"),
        make_event(0, price=10.0, product_id=1),
        make_event(2, price=10.0, product_id=1),
        make_event(4, price=30.0, product_id=3, category_name="apparel", brand="unknown"),
        make_event(10.5, "cart", price=50.0, product_id=2, category_name="toys", brand="zeta"),
        make_event(11, "remove_from_cart", price=60.0, product_id=4, brand="beta"),
    ]
    assert visits(events) == {
        "s1|2019-10-01T00:00:00Z": {
            "_id": "s1|2019-10-01T00:00:00Z",
            "user_id": 7,
            "user_session": "s1",
            "total_events": 6,
            "unique_products_viewed": 2,
            "view_count": 3,
            "cart_count": 1,
            "remove_from_cart_count": 1,
            "purchase_count": 1,
            "total_purchase_value": 50.0,
            "avg_product_price": 35.0,
            "categories_browsed": ["apparel", "electronics", "toys"],
            "brands_viewed": ["acme", "unknown"],
            "session_start": datetime(2019, 10, 1, tzinfo=UTC),
            "session_end": datetime(2019, 10, 1, 0, 20, tzinfo=UTC),
            "session_duration_minutes": 20.0,
            "has_view": True,
            "has_cart": True,
            "has_purchase": True,
            "conversion_rate": 1 / 6,
            "journey_stage": "CONVERTED",
            "behavior": "engaged_shopper",
        }
    }


def test_a_lone_removal_is_a_visit_of_no_length(make_event: MakeEvent) -> None:
    (visit,) = visits([make_event(3, "remove_from_cart", price=4.0)]).values()
    assert (visit["session_duration_minutes"], visit["avg_product_price"]) == (0.0, 4.0)
    assert (visit["has_view"], visit["brands_viewed"], visit["unique_products_viewed"]) == (False, [], 0)
    assert (visit["journey_stage"], visit["behavior"]) == ("AWARENESS", "bouncer")


def test_exactly_half_an_hour_stays_in_the_visit_and_a_millisecond_more_does_not(make_event: MakeEvent) -> None:
    start = datetime(2019, 10, 1, tzinfo=UTC)
    gap = timedelta(minutes=30)
    second, third = start + gap, start + gap + gap + timedelta(milliseconds=1)
    documents = visits([make_event(event_timestamp=at) for at in (start, second, third)])
    assert {document_id: visit["total_events"] for document_id, visit in documents.items()} == {
        "s1|2019-10-01T00:00:00Z": 2,
        "s1|2019-10-01T01:00:00.001Z": 1,
    }


def test_a_visit_may_last_longer_than_the_gap(make_event: MakeEvent) -> None:
    (visit,) = visits([make_event(minutes) for minutes in (0, 25, 50, 75)]).values()
    assert visit["session_duration_minutes"] == 75.0


def test_one_session_id_used_by_two_users_is_two_visits(make_event: MakeEvent) -> None:
    documents = visits([make_event(0, user_id=9), make_event(1, user_id=8), make_event(2, user_id=9)])
    assert {document_id: (visit["user_id"], visit["total_events"]) for document_id, visit in documents.items()} == {
        "s1|2019-10-01T00:00:00Z": (9, 2),
        "s1|2019-10-01T00:01:00Z": (8, 1),
    }


def test_all_but_the_smallest_user_append_their_id_where_session_and_start_coincide(make_event: MakeEvent) -> None:
    events = [make_event(0, user_id=user_id) for user_id in (100, 20, 3)]  # as text, 100 would come first
    events.append(make_event(45, user_id=100))
    assert {document_id: visit["user_id"] for document_id, visit in visits(events).items()} == {
        "s1|2019-10-01T00:00:00Z": 3,
        "s1|2019-10-01T00:00:00Z|20": 20,
        "s1|2019-10-01T00:00:00Z|100": 100,
        "s1|2019-10-01T00:45:00Z": 100,
    }


def test_lists_of_names_keep_the_first_hundred_in_order(make_event: MakeEvent) -> None:
    names = [f"name-{number:03}" for number in range(150)]
    events = [make_event(index / 100, category_name=name, brand=name) for index, name in enumerate(reversed(names))]
    (visit,) = visits(events).values()
    assert visit["categories_browsed"] == visit["brands_viewed"] == names[:100]


@pytest.mark.parametrize(
    ("carts", "purchases", "expected"),
    [(0, 0, "AWARENESS"), (1, 0, "CONSIDERATION"), (0, 1, "CONVERTED"), (3, 1, "CONVERTED")],
)
def test_journey_stage(carts: int, purchases: int, expected: str) -> None:
    assert journey_stage(carts, purchases) == expected


@pytest.mark.parametrize(
    ("events", "carts", "purchases", "expected"),
    [
        (1, 0, 0, "bouncer"),
        (1, 0, 1, "bouncer"),
        (2, 0, 0, "browser"),
        (9, 0, 0, "browser"),
        (10, 0, 0, "engaged_shopper"),
        (2, 1, 0, "engaged_shopper"),
        (9, 0, 1, "engaged_shopper"),
        (19, 5, 0, "engaged_shopper"),
        (10, 0, 1, "power_user"),
        (20, 0, 0, "power_user"),
    ],
)
def test_behavior(events: int, carts: int, purchases: int, expected: str) -> None:
    assert behavior(events, carts, purchases) == expected


def test_funnel_by_hand(make_event: MakeEvent) -> None:
    events = [
        make_event(0, user_session="looks"),
        make_event(1, user_session="looks and leaves a cart"),
        make_event(5, "cart", user_session="looks and leaves a cart"),
        make_event(2, user_session="buys"),
        make_event(3, "cart", user_session="buys"),
        make_event(22, "purchase", price=30.0, user_session="buys"),
        make_event(4, "purchase", price=50.0, user_session="buys unseen"),
        make_event(5, "purchase", price=20.0, user_session="buys unseen"),
        make_event(15, user_session="next window"),
    ]
    documents = funnel(events)
    assert documents["2019-10-01T00:00:00Z"] == {
        "_id": "2019-10-01T00:00:00Z",
        "window_start": datetime(2019, 10, 1, tzinfo=UTC),
        "window_end": datetime(2019, 10, 1, 0, 15, tzinfo=UTC),
        "total_sessions": 4,
        "sessions_with_view": 3,
        "sessions_with_cart": 2,
        "sessions_with_purchase": 2,
        "view_to_cart_rate": pytest.approx(200 / 3),
        "cart_to_purchase_rate": 100.0,
        "overall_conversion_rate": 50.0,
        "avg_session_duration": (0 + 4 + 20 + 1) / 4,
        "avg_purchase_value": (30.0 + 70.0) / 2,
    }
    assert documents["2019-10-01T00:15:00Z"]["total_sessions"] == 1


def test_funnel_rates_without_a_denominator_are_zero_and_no_purchase_has_no_value(make_event: MakeEvent) -> None:
    (window,) = funnel([make_event(0, "remove_from_cart")]).values()
    for rate in ("view_to_cart_rate", "cart_to_purchase_rate", "overall_conversion_rate"):
        assert window[rate] == 0.0
    assert window["avg_purchase_value"] is None


def test_a_purchase_for_nothing_still_counts_in_the_mean(make_event: MakeEvent) -> None:
    events = [make_event(0, "purchase", price=0.0, user_session="a"), make_event(0, "purchase", price=8.0)]
    (window,) = funnel(events).values()
    assert window["avg_purchase_value"] == 4.0


def test_a_visit_belongs_to_the_window_it_starts_in(make_event: MakeEvent) -> None:
    documents = funnel([make_event(14.9), make_event(16)])
    assert list(documents) == ["2019-10-01T00:00:00Z"]
