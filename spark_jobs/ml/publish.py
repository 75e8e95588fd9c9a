"""From a DataFrame to documents: first into a Parquet file, the artefact of the run, from there into MongoDB."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from pymongo.database import Database
from pyspark.sql import DataFrame

from spark_jobs.ml.as_of import documents_of, iso
from spark_jobs.ml.snapshot import PARTIAL
from spark_jobs.mongo import BULK_SIZE, Document, upsert

# What pages and analysts look for within a moment. Users and products are found by `_id`.
INDEXES: dict[str, list[tuple[str, int]]] = {
    "user_feature_engineering": [("as_of", 1), ("value_score", -1)],
    "customer_segments": [("as_of", 1), ("segment_name", 1)],
    "churn_predictions": [("as_of", 1), ("churn_probability", -1)],
    "time_series_analysis": [("as_of", 1), ("event_type", 1), ("date", 1)],
    "statistical_analysis": [("as_of", 1), ("kind", 1)],
}


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        documents: Number of documents written.
        removed: Number of documents of an earlier run of the same as_of that this one no longer produces.
        fingerprint: Hash of the documents; the same documents give the same one.
    """

    documents: int
    removed: int
    fingerprint: str


def write_parquet(frame: DataFrame, path: Path, order: str = "_id") -> None:
    """Write `frame` as one Parquet file in the order of a column, which appears or is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Spark's default, INT96, comes back from Parquet without a time zone.
    frame.sparkSession.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=PARTIAL) as folder:
        frame.repartition(1).sortWithinPartitions(order).write.parquet(f"{folder}/out")
        (part,) = Path(folder).glob("out/part-*.parquet")
        part.replace(path)


def read_documents(paths: Iterable[Path]) -> Iterator[Document]:
    """Read the rows of Parquet files as documents, a batch at a time, floats rounded (see `rounded`)."""
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(BULK_SIZE):
            yield from (rounded(document) for document in batch.to_pylist())


def rounded(value: Any) -> Any:
    """Round floats to 10 significant digits, also inside lists and dictionaries; NaN and infinity become null.

    The last digits of a double depend on the order of a sum. Ten digits are more than any reader needs, and six short
    of where that order shows.
    """
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value


def publish(db: Database[Document], collection: str, as_of: datetime, paths: Iterable[Path]) -> Published:
    """Make the documents of `as_of` in `collection` exactly those in the files.

    New and changed ones are written before stale ones are deleted: killed in between, readers miss nothing, and the
    next run deletes the rest.

    Args:
        db: The platform's database.
        collection: Its name.
        as_of: The run; every `_id` begins with it.
        paths: Parquet files with the documents.
    """
    ids: set[str] = set()
    digest = hashlib.blake2b(digest_size=16)

    def noted() -> Iterator[Document]:
        for document in read_documents(paths):
            ids.add(document["_id"])
            digest.update(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
            yield document

    if collection in INDEXES:
        db[collection].create_index(INDEXES[collection])
    upsert(db, collection, noted())
    span = db[collection].find({"_id": documents_of(iso(as_of))}, {"_id": 1})
    stale = [document["_id"] for document in span if document["_id"] not in ids]
    for first in range(0, len(stale), BULK_SIZE):
        db[collection].delete_many({"_id": {"$in": stale[first : first + BULK_SIZE]}})
    return Published(len(ids), len(stale), digest.hexdigest())


def withdraw(db: Database[Document], collection: str, as_of: datetime) -> int:
    """Delete what `publish` has written for `as_of`; returns the number of documents."""
    return db[collection].delete_many({"_id": documents_of(iso(as_of))}).deleted_count
