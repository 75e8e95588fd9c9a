"""How the running stream learns that a dimension changed: one small document per dimension."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

COLLECTION = "dimension_versions"


def publish(db: Database[dict[str, Any]], dimension: str, version: str) -> None:
    """Announce a new version of `products` or `users`, after its documents are written."""
    db[COLLECTION].replace_one({"_id": dimension}, {"_id": dimension, "version": version}, upsert=True)


def current(db: Database[dict[str, Any]]) -> str:
    """Return a value that changes whenever a dimension is published anew."""
    return "|".join(f"{one['_id']}:{one['version']}" for one in db[COLLECTION].find().sort("_id"))
