"""The connection of Airflow's side to MongoDB, and errors a person can act upon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from shopstream.config import Config
from shopstream.joblog import redact
from shopstream.streaming.errors import StoreError

WAIT_MILLISECONDS = 10_000


def connect(config: Config) -> MongoClient[dict[str, Any]]:
    """Return a client of the platform's MongoDB; times are read as UTC.

    Raises:
        StoreError: The connection string cannot be understood. Whether the server answers shows at the first use.
    """
    with plain_errors():
        return MongoClient(
            config.mongodb_uri,
            tz_aware=True,
            serverSelectionTimeoutMS=WAIT_MILLISECONDS,
            appname="shopstream-airflow",
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the driver's errors into `StoreError`s of one clause."""
    try:
        yield
    except (PyMongoError, ValueError) as error:
        # The driver appends a description of every server it knows: the first clause says it all.
        reason = redact(str(error)).split(", Timeout:")[0]
        raise StoreError(f"MongoDB at MONGODB_URI: {reason} (is the stack up? `make status`)") from None
