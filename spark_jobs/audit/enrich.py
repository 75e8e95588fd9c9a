"""Which `enriched_events` the records of the topic should have become."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from spark_jobs.audit.events import Document
from spark_jobs.audit.validate import parse_event_time, parse_id, parse_price, validate

EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "shopstream/customer_events")
UNKNOWN = "unknown"
PRODUCT_FIELDS = ("product_name", "subcategory")
USER_FIELDS = ("country", "city", "age_group", "gender", "user_segment")
PRICE_CATEGORIES = ((20.0, "Budget"), (100.0, "Mid-Range"), (500.0, "Premium"))  # each below its limit
HIGHEST_PRICE_CATEGORY = "Luxury"
LONGEST_EVENT_ID = 128
SUNDAY, SATURDAY = 1, 7


def event_id(source_name: str, row_number: int) -> str:
    """The `event_id` of a row of a source: the same row of the same source is always the same event."""
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{source_name}:{row_number}"))


def enrich(
    raw_events: Iterable[object],
    products: Mapping[int, Mapping[str, Any]],
    users: Mapping[int, Mapping[str, Any]],
    *,
    ingested_at: datetime | None = None,
) -> dict[str, Document]:
    """Return the `enriched_events` expected of these records, by `_id`; invalid records have none.

    Args:
        raw_events: records of the topic, or rows of a CSV file with an `event_id` added. A record without `event_id`
            must carry `kafka_topic`, `kafka_partition` and `kafka_offset`. Of records with the same `_id` the last one
            stays, as with any upsert.
        products: documents of the catalogue by `product_id`.
        users: documents of the user dimension by `user_id`.
        ingested_at: see `validate`; now by default.

    Returns:
        Documents with every field that follows from the input: not `processing_timestamp`, not the Kafka position, and
        not `category_id`, whose type the contract leaves open.
        Fields of a dimension that does not know the product or user are None.

    Raises:
        ValueError: a valid record has neither `event_id` nor Kafka position.
    """
    ingested_at = ingested_at or datetime.now(UTC)
    documents: dict[str, Document] = {}
    for record in raw_events:
        if isinstance(record, Mapping) and not validate(record, ingested_at=ingested_at):
            document = _document(record, products, users)
            documents[document["_id"]] = document
    return documents


def price_category(price: float) -> str:
    """Budget < 20 <= Mid-Range < 100 <= Premium < 500 <= Luxury."""
    for limit, name in PRICE_CATEGORIES:
        if price < limit:
            return name
    return HIGHEST_PRICE_CATEGORY


def category_name(catalogue_name: object, category_code: object) -> str:
    """The catalogue's category, else the first segment of the event's `category_code`, else `unknown`."""
    first_segment = (_text(category_code) or "").split(".")[0]
    return _text(catalogue_name) or first_segment or UNKNOWN


def _document(
    record: Mapping[str, Any], products: Mapping[int, Mapping[str, Any]], users: Mapping[int, Mapping[str, Any]]
) -> Document:
    """The document of one valid record."""
    product_id, user_id = parse_id(record["product_id"]), parse_id(record["user_id"])
    product, user = products.get(product_id, {}), users.get(user_id, {})
    at = parse_event_time(record["event_time"])
    price = parse_price(record["price"])
    day_of_week = at.isoweekday() % 7 + 1
    return {
        "_id": _document_id(record),
        "event_id": _text(record.get("event_id")),
        "event_timestamp": at,
        "event_type": record["event_type"],
        "product_id": product_id,
        "category_code": _text(record.get("category_code")),
        "category_name": category_name(product.get("category_name"), record.get("category_code")),
        "brand": _text(record.get("brand")) or UNKNOWN,
        "price": price,
        "price_category": price_category(price),
        "user_id": user_id,
        "user_session": _text(record["user_session"]),
        "event_hour": at.hour,
        "event_day_of_week": day_of_week,
        "is_weekend": day_of_week in (SATURDAY, SUNDAY),
        **{field: product.get(field) for field in PRODUCT_FIELDS},
        **{field: user.get(field) for field in USER_FIELDS},
    }


def _document_id(record: Mapping[str, Any]) -> str:
    """`event_id`, else (also where it is longer than any id) `topic-partition-offset`."""
    given = _text(record.get("event_id"))
    if given is not None and len(given) <= LONGEST_EVENT_ID:
        return given
    position = [record.get(field) for field in ("kafka_topic", "kafka_partition", "kafka_offset")]
    if None in position:
        raise ValueError(f"a valid record has neither event_id nor Kafka position: {dict(record)!r}")
    return "-".join(str(part) for part in position)


def _text(value: object) -> str | None:
    """Text, with everything that counts as missing (null, empty, not text) as None.

    Half of a surrogate pair, which JSON can express and no encoding can, is stored as a question mark.
    """
    return value.encode(errors="replace").decode() if isinstance(value, str) and value else None
