"""Connections to the document store, for code that talks to it without Spark."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pymongo import MongoClient, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure

from spark_jobs.config import Config
from spark_jobs.errors import JobError

log = logging.getLogger(__name__)

Document = dict[str, Any]

BULK_SIZE = 2_000

# Reading that many documents from one end to the other takes any server less than a second.
_WORTH_AN_INDEX = 10_000


def database(config: Config, connections: int | None = None) -> Database[Document]:
    """Open the platform's database; documents come back with time-zone-aware (UTC) dates.

    Args:
        config: Where it is.
        connections: Most requests that may be under way at once; the others wait. None for what the URI says.

    Raises:
        JobError: The server does not answer or refuses the credentials. The message never shows the password.
    """
    options: dict[str, Any] = {} if connections is None else {"maxPoolSize": connections}
    try:
        client: MongoClient[Document] = MongoClient(
            config.mongodb_uri, tz_aware=True, serverSelectionTimeoutMS=10_000, appname="shopstream", **options
        )
        client.admin.command("ping")
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise JobError(f"MONGODB_URI is malformed: {error}") from None
    except OperationFailure as error:
        raise JobError(f"MongoDB refuses the credentials in MONGODB_URI: {error.details}") from None
    except ConnectionFailure as error:
        raise JobError(f"no MongoDB server answers at MONGODB_URI: {str(error).split(',')[0]}") from None
    return client[config.database]


def indexed(db: Database[Document], collection: str, field: str) -> Collection[Document]:
    """Return a collection with an index of a field, which is made now if it is missing and worth its while.

    Readers ask for the indexes they need when they need them. The stream makes only its own, because every index of a
    collection slows its writing down: a backlog is in the store much sooner without them, and one pass makes up for it.

    Args:
        db: The platform's database.
        collection: Name of the collection.
        field: The field; an index of several that begins with it serves as well.
    """
    found = db[collection]
    # Asked first: the embedded server counts documents one by one.
    if any(index["key"][0][0] == field for index in found.index_information().values()):
        return found
    if found.estimated_document_count() >= _WORTH_AN_INDEX:
        log.info("indexing %s by %s", collection, field)
        found.create_index(field)
    return found


def replace(db: Database[Document], collection: str, documents: Iterable[Mapping[str, Any]]) -> None:
    """Replace, or insert, each document by its `_id`: quicker than `upsert` where most of them exist."""
    for bulk in _bulks(documents):
        operations = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in bulk]
        db[collection].bulk_write(operations, ordered=False)


def merge(db: Database[Document], collection: str, documents: Iterable[Mapping[str, Any]]) -> None:
    """Insert each document, or set its fields in the document that has its `_id`, which keeps what else is there."""
    for bulk in _bulks(documents):
        operations = [UpdateOne({"_id": document["_id"]}, {"$set": document}, upsert=True) for document in bulk]
        db[collection].bulk_write(operations, ordered=False)


def upsert(db: Database[Document], collection: str, documents: Iterable[Mapping[str, Any]]) -> int:
    """Insert each document, or replace the one that has its `_id`; returns how many were sent.

    A bulk is tried as inserts first, which a document store takes several times quicker than replacements; the
    documents that exist already are then replaced.
    """
    sent = 0
    for bulk in _bulks(documents):
        try:
            db[collection].insert_many(bulk, ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            # Without an error of a document it is the write concern that was not met: nothing is certain then.
            if error.details.get("writeConcernErrors") or any(one["code"] != _DUPLICATE_KEY for one in failures):
                raise
            replace(db, collection, [bulk[failure["index"]] for failure in failures])
        sent += len(bulk)
    return sent


def _bulks(documents: Iterable[Mapping[str, Any]]) -> Iterator[list[Document]]:
    """Yield copies of the documents, as many as one request carries."""
    remaining = iter(documents)
    while bulk := [dict(document) for document in islice(remaining, BULK_SIZE)]:
        yield bulk


_DUPLICATE_KEY = 11000
