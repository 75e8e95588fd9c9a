"""Visits that never end: a robot must fill neither memory nor a document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from spark_jobs.streaming.open_visits import OpenVisits
from spark_jobs.streaming.visits import MAX_NAMES, MAX_PARTS, MAX_PRODUCTS

START = datetime(2019, 10, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def part(number: int, products: range, watched: str = "") -> dict[str, Any]:
    """Make the cell of a robot's `number`-th half hour, in which it views every product once."""
    start = START + number * HALF_HOUR
    items = [{"product_id": one, "brand": f"{watched}{one:06}", "category_name": "toys"} for one in products]
    return {
        "name": "robot",
        "detail": "7",
        "window_start": start,
        "first_event": start,
        "last_event": start + timedelta(minutes=29),
        "event_count": len(items),
        "price_sum": 2.0 * len(items),
        "purchase_value": 0.0,
        "view_count": len(items),
        "cart_count": 0,
        "remove_from_cart_count": 0,
        "purchase_count": 0,
        "items": items,
    }


def test_a_visit_of_a_week_keeps_its_figures_in_few_parts() -> None:
    visits = OpenVisits()
    days = 7 * 48
    for number in range(days):
        (visit,) = visits.apply([part(number, range(number, number + 3))]).upserts
        visits.forget(START + number * HALF_HOUR)
        assert len(visit["parts"]) <= MAX_PARTS + 1
    assert visit["session_start"] == START
    assert visit["session_end"] == START + (days - 1) * HALF_HOUR + timedelta(minutes=29)
    assert (visit["total_events"], visit["unique_products_viewed"]) == (3 * days, days + 2)
    assert visit["avg_product_price"] == 2.0
    assert visit["brands_viewed"] == [f"{one:06}" for one in range(MAX_NAMES)]


def test_a_shortened_visit_goes_on_after_a_restart() -> None:
    visits = OpenVisits()
    for number in range(2 * MAX_PARTS):
        (visit,) = visits.apply([part(number, range(2))]).upserts
        visits.forget(START + number * HALF_HOUR)
    (again,) = OpenVisits([visit]).apply([part(2 * MAX_PARTS, range(2))]).upserts
    assert again["_id"] == visit["_id"]
    assert again["total_events"] == visit["total_events"] + 2


def test_an_open_part_is_never_joined() -> None:
    visits = OpenVisits()
    for number in range(2 * MAX_PARTS):
        visits.apply([part(number, range(2))])
    visits.forget(START + HALF_HOUR)
    (visit,) = visits.apply([part(1, range(5))]).upserts
    assert visit["total_events"] == 2 * (2 * MAX_PARTS - 1) + 5


def test_products_are_capped() -> None:
    visits = OpenVisits()
    (visit,) = visits.apply([part(0, range(MAX_PRODUCTS)), part(1, range(5, MAX_PRODUCTS + 500))]).upserts
    assert visit["unique_products_viewed"] == MAX_PRODUCTS
