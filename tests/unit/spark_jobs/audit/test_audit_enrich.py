"""The expected enriched event, field by field."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from spark_jobs.audit.enrich import category_name, enrich, event_id, price_category

RECORD = {
    "event_id": "e1",
    "event_time": "2019-10-06 23:59:59 UTC",
    "event_type": "cart",
    "product_id": "5",
    "category_id": "2053013558920217191",
    "category_code": "computers.notebook",
    "brand": "lenovo",
    "price": "251.74",
    "user_id": "8",
    "user_session": "s",
}
PRODUCTS = {5: {"product_id": 5, "product_name": "Lenovo 5", "category_name": "laptops", "subcategory": "notebook"}}
USERS = {8: {"user_id": 8, "country": "FR", "city": "Lyon", "age_group": "25-34", "gender": "f", "user_segment": "new"}}


def enriched(**changes: Any) -> dict[str, Any]:
    (document,) = enrich([RECORD | changes], PRODUCTS, USERS).values()
    return document


def test_a_row_by_hand() -> None:
    assert enrich([RECORD], PRODUCTS, USERS) == {
        "e1": {
            "_id": "e1",
            "event_id": "e1",
            "event_timestamp": datetime(2019, 10, 6, 23, 59, 59, tzinfo=UTC),
            "event_type": "cart",
            "product_id": 5,
            "category_code": "computers.notebook",
            "category_name": "laptops",
            "brand": "lenovo",
            "price": 251.74,
            "price_category": "Premium",
            "user_id": 8,
            "user_session": "s",
            "event_hour": 23,
            "event_day_of_week": 1,
            "is_weekend": True,
            "product_name": "Lenovo 5",
            "subcategory": "notebook",
            "country": "FR",
            "city": "Lyon",
            "age_group": "25-34",
            "gender": "f",
            "user_segment": "new",
        }
    }


def test_an_unknown_product_and_user_keep_the_event_with_nulls() -> None:
    document = enriched(product_id=6, user_id=9)
    assert document["category_name"] == "computers"
    for field in ("product_name", "subcategory", "country", "city", "age_group", "gender", "user_segment"):
        assert document[field] is None


@pytest.mark.parametrize(
    ("catalogue", "code", "expected"),
    [
        ("laptops", "computers.notebook", "laptops"),
        ("laptops", None, "laptops"),
        (None, "computers.notebook", "computers"),
        ("", "computers", "computers"),
        (None, None, "unknown"),
        (None, "", "unknown"),
        (None, ".notebook", "unknown"),
    ],
)
def test_category_name(catalogue: str | None, code: str | None, expected: str) -> None:
    assert category_name(catalogue, code) == expected


@pytest.mark.parametrize("brand", [None, "", float("nan")])
def test_a_missing_brand_is_unknown_even_if_the_catalogue_has_one(brand: object) -> None:
    document = enrich([RECORD | {"brand": brand}], {5: PRODUCTS[5] | {"brand": "lenovo"}}, USERS)["e1"]
    assert document["brand"] == "unknown"


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (0, "Budget"),
        (19.99, "Budget"),
        (20, "Mid-Range"),
        (99.99, "Mid-Range"),
        (100, "Premium"),
        (499.99, "Premium"),
        (500, "Luxury"),
    ],
)
def test_price_category(price: float, expected: str) -> None:
    assert price_category(price) == expected


@pytest.mark.parametrize(
    ("date", "day_of_week", "is_weekend"),
    [
        ("2019-10-04", 6, False),
        ("2019-10-05", 7, True),
        ("2019-10-06", 1, True),
        ("2019-10-07", 2, False),
    ],
    ids=["Friday", "Saturday", "Sunday", "Monday"],
)
def test_days_of_the_week(date: str, day_of_week: int, is_weekend: bool) -> None:
    document = enriched(event_time=f"{date} 12:00:00 UTC")
    assert (document["event_day_of_week"], document["is_weekend"]) == (day_of_week, is_weekend)


def test_hour_and_day_are_those_of_utc() -> None:
    document = enriched(event_time="2019-10-07T01:30:00+02:00")
    assert (document["event_hour"], document["event_day_of_week"]) == (23, 1)


def test_invalid_records_have_no_document() -> None:
    future = RECORD | {"event_time": "2019-10-08 00:00:01 UTC"}
    ingested_at = datetime(2019, 10, 7, tzinfo=UTC)
    assert enrich([None, "text", RECORD | {"price": "-1"}, future], {}, {}, ingested_at=ingested_at) == {}


def test_the_same_id_twice_is_one_document_the_later_one() -> None:
    assert enriched()["price"] == 251.74
    (document,) = enrich([RECORD, RECORD | {"price": "9"}], PRODUCTS, USERS).values()
    assert document["price"] == 9.0


@pytest.mark.parametrize("missing", [None, "", 5, {}, "x" * 129])
def test_a_record_without_event_id_is_named_by_its_position(missing: object) -> None:
    position = {"kafka_topic": "customer_events", "kafka_partition": 2, "kafka_offset": 0}
    document = enriched(event_id=missing, **position)
    assert document["_id"] == "customer_events-2-0"
    with pytest.raises(ValueError, match="neither event_id nor Kafka position"):
        enriched(event_id=missing)


def test_half_a_surrogate_pair_is_stored_as_a_question_mark() -> None:
    document = enriched(user_session="\ud800", brand="a\udc00b")
    assert (document["user_session"], document["brand"]) == ("?", "a?b")


def test_event_ids_are_named_uuids_of_source_and_row() -> None:
    assert event_id("2019-Oct.csv", 1) == event_id("2019-Oct.csv", 1)
    assert len({event_id("2019-Oct.csv", 1), event_id("2019-Oct.csv", 2), event_id("2019-Nov.csv", 1)}) == 3
    assert uuid.UUID(event_id("2019-Oct.csv", 1)).version == 5


def test_event_ids_never_change() -> None:
    namespace = uuid.uuid5(uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), "shopstream/customer_events")
    assert event_id("2019-Oct.csv", 1) == str(uuid.uuid5(namespace, "2019-Oct.csv:1"))
