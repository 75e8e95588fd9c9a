"""Builds enriched events in one line each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

MIDNIGHT = datetime(2019, 10, 1, tzinfo=UTC)
_serial = count(1)


def _make_event(minutes: float = 0, event_type: str = "view", price: float = 10.0, **fields: Any) -> dict[str, Any]:
    serial = f"event-{next(_serial)}"
    return {
        "_id": serial,
        "event_id": serial,
        "event_timestamp": MIDNIGHT + timedelta(minutes=minutes),
        "event_type": event_type,
        "product_id": 1,
        "category_name": "electronics",
        "brand": "acme",
        "price": price,
        "user_id": 7,
        "user_session": "s1",
    } | fields


@pytest.fixture(scope="session")
def make_event() -> Callable[..., dict[str, Any]]:
    """Factory of enriched events, `minutes` after 2019-10-01 00:00 UTC; any field can be given by name."""
    return _make_event
