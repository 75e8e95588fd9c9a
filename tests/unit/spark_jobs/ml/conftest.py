"""Builds frames of events in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.ml.events import SCHEMA, clean_prices

AS_OF = datetime(2019, 11, 1, tzinfo=UTC)
_serial = count(1)


@pytest.fixture(scope="session")
def as_of() -> datetime:
    """Friday 2019-11-01 00:00 UTC."""
    return AS_OF


@pytest.fixture(scope="session")
def event() -> Callable[..., dict[str, Any]]:
    """Factory of events, `days` before `as_of`; any field can be given by name."""

    def make(days: float, event_type: str = "view", **fields: Any) -> dict[str, Any]:
        return {
            "_id": f"event-{next(_serial):05}",
            "event_timestamp": AS_OF - timedelta(days=days),
            "event_type": event_type,
            "product_id": 1,
            "category_name": "electronics",
            "brand": "acme",
            "price": 10.0,
            "user_id": 7,
            "user_session": "s1",
        } | fields

    return make


@pytest.fixture(scope="session")
def frame(spark: SparkSession) -> Callable[[Iterable[dict[str, Any]]], DataFrame]:
    """Make a DataFrame of events, as `read_events` does."""

    def make(events: Iterable[dict[str, Any]]) -> DataFrame:
        return clean_prices(spark.createDataFrame(list(events), SCHEMA))

    return make
