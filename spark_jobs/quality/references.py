"""Whether what documents refer to exists: true/false columns that name documents of another collection.

"references": {"product_in_catalogue": {"field": "product_id", "collection": "products"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pymongo.database import Database

from spark_jobs.mongo import Document

# The embedded server's time for `$in` grows with the square of the list.
_IDS_PER_QUERY = 100
# Asking for one id takes the embedded server as long as reading so many.
_READ_PER_ASKED = 10
# So many answers are remembered: a dimension can have more documents than memory has room for.
_REMEMBERED = 500_000


@dataclass(frozen=True)
class Reference:
    """A field that holds the `_id` of a document of another collection."""

    field: str
    collection: str


def parse_references(content: Any, columns: Mapping[str, str]) -> dict[str, Reference]:
    """Read `meta.references`.

    Raises:
        ValueError: It is malformed; the message continues the name of the part.
    """
    if not isinstance(content, dict):
        raise ValueError(" is not an object")
    references = {}
    for name, one in content.items():
        if not isinstance(one, dict) or set(one) != {"field", "collection"}:
            raise ValueError(f".{name} is {one!r}, not an object of `field` and `collection`")
        if one["field"] not in columns:
            raise ValueError(f".{name} uses {one['field']}, which meta.columns does not have")
        references[name] = Reference(one["field"], one["collection"])
    return references


def existing(db: Database[Document], collection: str, ids: Sequence[Any]) -> set[Any]:
    """Return those of some `_id`s that a collection has."""
    chunks = (ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY))
    return {one["_id"] for chunk in chunks for one in db[collection].find({"_id": {"$in": chunk}}, {"_id": 1})}


class Lookup:
    """Looks ids up in other collections, each id once as long as there is room to remember it.

    Args:
        db: The platform's database.
    """

    def __init__(self, db: Database[Document]) -> None:
        self._db = db
        self._known: dict[str, dict[Any, bool]] = {}

    def add(self, frame: pd.DataFrame, references: Mapping[str, Reference]) -> pd.DataFrame:
        """Add one nullable boolean column per reference: null where its field is null."""
        columns = {}
        for name, reference in references.items():
            values = frame[reference.field]
            distinct = [value.item() if hasattr(value, "item") else value for value in values.dropna().unique()]
            exists = self._exist(reference.collection, distinct)
            columns[name] = values.map(exists).astype("boolean")
        return frame.assign(**columns)

    def _exist(self, collection: str, ids: list[Any]) -> dict[Any, bool]:
        known = self._known.setdefault(collection, {})
        if len(known) > _REMEMBERED:
            known.clear()
        wanted = [one for one in ids if one not in known]
        referred = self._db[collection]
        if len(wanted) > _IDS_PER_QUERY and referred.estimated_document_count() <= _READ_PER_ASKED * len(wanted):
            found = {one["_id"] for one in referred.find({}, {"_id": 1})}
        else:
            found = existing(self._db, collection, wanted)
        known.update(dict.fromkeys(found, True) | {one: one in found for one in wanted})
        return known
