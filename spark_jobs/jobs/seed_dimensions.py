"""Builds the product catalogue and the user dimension from an events file, or from the shop's own CSV files over it."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.events.dimensions import derive, overlay, product, user
from spark_jobs.events.source import rows
from spark_jobs.mongo import database, upsert
from spark_jobs.streaming.dimension_versions import await_use, publish

log = logging.getLogger(__name__)

# A micro-batch may have to end first, and the stream's query starts anew.
_CHANGEOVER_SECONDS = 60


def main(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Upsert `products` and `users`, and wait for a running stream to use them.

    Returns:
        The number of each and of the rows read, and whether the stream joins events with them from now on.
    """
    derived = derive(rows(args.events), lambda count: log.info("%d events read", count))
    products = {key: product(key, facts) for key, facts in derived.products.items()}
    users = {key: user(key, facts) for key, facts in derived.users.items()}
    unknown = {"category_id": None, "category_code": None, "brand": None, "price": None}
    if args.products_csv:
        overlay(products, args.products_csv, "product_id", lambda key: product(key, unknown))
    if args.users_csv:
        overlay(users, args.users_csv, "user_id", lambda key: user(key, {}))
    db = database(config)
    versions: dict[str, str] = {}
    for name, documents in (("products", products), ("users", users)):
        ordered = [documents[key] for key in sorted(documents)]
        upsert(db, name, ordered)
        versions[name] = _fingerprint(ordered)
        log.info("%s: %d documents", name, len(ordered))
    publish(db, versions)
    longest = config.dimension_refresh_seconds + _CHANGEOVER_SECONDS
    log.info("published; waiting until a running stream uses them, %d s at most", longest)
    in_use = await_use(db, longest)
    if not in_use:
        log.warning("the running stream does not use them after %d s: until it does, events lack what is new", longest)
    return {
        "events": derived.rows,
        "products": len(products),
        "users": len(users),
        "in_use": in_use,
        "at": datetime.now(UTC).isoformat(),
    }


def _fingerprint(documents: list[dict[str, Any]]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(json.dumps(document, default=str, sort_keys=True).encode())
    return digest.hexdigest()


def parser() -> argparse.ArgumentParser:
    """Return the command line of this job."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=Path, required=True, help="events file: .csv, .csv.gz or .parquet")
    options.add_argument("--products-csv", type=Path, help="the shop's catalogue: product_id and any product columns")
    options.add_argument("--users-csv", type=Path, help="the shop's users: user_id and any user columns")
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
