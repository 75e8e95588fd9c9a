"""Connections to the document store, for code that talks to it without Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import MongoClient, ReplaceOne
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure

from spark_jobs.config import Config
from spark_jobs.errors import JobError

Document = dict[str, Any]

BULK_SIZE = 2_000


def database(config: Config) -> Database[Document]:
    """Open the platform's database; documents come back with time-zone-aware (UTC) dates.

    Raises:
        JobError: The server does not answer or refuses the credentials. The message never shows the password.
    """
    try:
        client: MongoClient[Document] = MongoClient(
            config.mongodb_uri, tz_aware=True, serverSelectionTimeoutMS=10_000, appname="shopstream"
        )
        client.admin.command("ping")
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise JobError(f"MONGODB_URI is malformed: {error}") from None
    except OperationFailure as error:
        raise JobError(f"MongoDB refuses the credentials in MONGODB_URI: {error.details}") from None
    except ConnectionFailure as error:
        raise JobError(f"no MongoDB server answers at MONGODB_URI: {str(error).split(',')[0]}") from None
    return client[config.database]


def upsert(db: Database[Document], collection: str, documents: Iterable[Mapping[str, Any]]) -> int:
    """Replace or insert each document by its `_id`, in bulks; returns how many were sent."""
    sent = 0
    bulk: list[ReplaceOne[Document]] = []
    for document in documents:
        bulk.append(ReplaceOne({"_id": document["_id"]}, dict(document), upsert=True))
        if len(bulk) == BULK_SIZE:
            db[collection].bulk_write(bulk, ordered=False)
            sent, bulk = sent + len(bulk), []
    if bulk:
        db[collection].bulk_write(bulk, ordered=False)
    return sent + len(bulk)
