"""What a document store answers to bulks that it could not write as asked."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from spark_jobs.mongo import upsert

DUPLICATE = {"index": 1, "code": 11000}


class Answering:
    """A collection that answers inserts with an error, and remembers what is replaced."""

    def __init__(self, details: dict[str, Any]) -> None:
        self._details = details
        self.replaced: list[Any] = []

    def __getitem__(self, _name: str) -> Answering:
        return self

    def insert_many(self, _documents: list[Any], ordered: bool) -> None:
        assert not ordered
        raise BulkWriteError(self._details)

    def bulk_write(self, operations: list[Any], ordered: bool) -> None:
        assert not ordered
        self.replaced += operations


def write(details: dict[str, Any]) -> Answering:
    answering = Answering(details)
    upsert(cast("Database[dict[str, Any]]", answering), "events", [{"_id": 1}, {"_id": 2}])
    return answering


def test_documents_that_exist_are_replaced() -> None:
    (replaced,) = write({"writeErrors": [DUPLICATE], "writeConcernErrors": []}).replaced
    assert replaced._doc == {"_id": 2}


@pytest.mark.parametrize(
    "details",
    [
        {"writeErrors": [{"index": 0, "code": 10334}], "writeConcernErrors": []},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}]},
        {"writeErrors": [DUPLICATE], "writeConcernErrors": [{"code": 64}]},
    ],
)
def test_anything_else_is_raised(details: dict[str, Any]) -> None:
    with pytest.raises(BulkWriteError):
        write(details)
