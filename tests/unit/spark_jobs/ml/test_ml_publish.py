import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_jobs.ml import publish as module
from spark_jobs.ml.publish import publish, read_documents, rounded, write_parquet


class FakeCollection(dict[str, dict[str, Any]]):
    """The three operations that a publication needs."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def find(self, query: dict[str, Any], _fields: dict[str, int]) -> Iterable[dict[str, Any]]:
        low, high = query["_id"]["$gte"], query["_id"]["$lt"]
        return [{"_id": key} for key in sorted(self) if low <= key < high]

    def delete_many(self, query: dict[str, Any]) -> None:
        self.log.append("delete")
        for key in query["_id"]["$in"]:
            del self[key]


@pytest.fixture
def collection(monkeypatch: pytest.MonkeyPatch) -> FakeCollection:
    store = FakeCollection()

    def upsert(db: Any, name: str, documents: Iterable[dict[str, Any]]) -> None:
        store.log.append("upsert")
        db[name].update({document["_id"]: document for document in documents})

    monkeypatch.setattr(module, "upsert", upsert)
    return store


def test_documents_of_a_run_become_exactly_those_in_the_files(
    spark: SparkSession, tmp_path: Path, collection: FakeCollection, as_of: datetime
) -> None:
    later = "2019-11-01T06:00:00Z|1"
    stale = [f"2019-11-01T00:00:00Z|{key}" for key in ("3", "zz", "é")]
    for key in [later, "2019-11-01T00:00:00Z", *stale]:
        collection[key] = {"_id": key}
    for name, keys in (("a", ["2", "1"]), ("b", ["4"])):
        rows = [(f"2019-11-01T00:00:00Z|{key}", as_of, 1 / 3) for key in keys]
        write_parquet(spark.createDataFrame(rows, "_id string, as_of timestamp, value double"), tmp_path / name)
    paths = [tmp_path / "a", tmp_path / "b"]
    first = publish({"c": collection}, "c", as_of, paths)  # type: ignore[arg-type]
    assert (first.documents, first.removed) == (3, 3)
    assert sorted(collection) == ["2019-11-01T00:00:00Z", *(f"2019-11-01T00:00:00Z|{k}" for k in "124"), later]
    assert collection.log == ["upsert", "delete"]
    document = collection["2019-11-01T00:00:00Z|1"]
    assert (document["as_of"].astimezone(UTC), document["value"]) == (as_of, 0.3333333333)
    again = publish({"c": collection}, "c", as_of, paths)  # type: ignore[arg-type]
    assert (again.documents, again.removed, again.fingerprint) == (3, 0, first.fingerprint)


def test_files_are_in_the_order_of_their_ids_and_replaced(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    for keys in (["old"], ["b", "c", "a"]):
        write_parquet(spark.createDataFrame([(key,) for key in keys], "_id string").repartition(3), path)
    assert [document["_id"] for document in read_documents([path])] == ["a", "b", "c"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_frame_is_an_empty_file(spark: SparkSession, tmp_path: Path) -> None:
    write_parquet(spark.createDataFrame([], "_id string"), tmp_path / "x.parquet")
    assert list(read_documents([tmp_path / "x.parquet"])) == []


def test_floats_are_rounded_everywhere_and_nothing_else_is() -> None:
    assert rounded({"a": [0.1 + 0.2, {"b": 1 / 3}], "c": 12345678901, "d": "0.30000000000000004", "e": True}) == {
        "a": [0.3, {"b": 0.3333333333}],
        "c": 12345678901,
        "d": "0.30000000000000004",
        "e": True,
    }
    assert [rounded(value) for value in (math.nan, math.inf, -math.inf, None)] == [None] * 4
    assert rounded(123456.7890123456) == 123456.789
