"""Checking one collection, or the books of the stream, and storing what was found."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from spark_jobs.config import Config
from spark_jobs.mongo import Document
from spark_jobs.quality.books import read_ledger
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.frames import read_frame
from spark_jobs.quality.outcome import Outcome
from spark_jobs.quality.reconcile import CHECKS, reconcile
from spark_jobs.quality.rules import RuleError, add_rules
from spark_jobs.quality.suites import SUITES_FOLDER, SuiteError, load_suite
from spark_jobs.quality.topic import KafkaUnreachable

RECONCILIATION = "reconciliation"
RESULTS = "data_quality_results"


def check_collection(
    db: Database[Document], collection: str, limit: int, engine: Engine, folder: Path = SUITES_FOLDER
) -> Outcome:
    """Check the newest documents of a collection against its suite.

    Whatever prevents that is an outcome, too (status `error`): other collections can still be checked.

    Args:
        db: The platform's database.
        collection: Name of the collection, and of its suite.
        limit: Largest number of documents to look at.
        engine: Evaluates the expectations.
        folder: Where the suites are.

    Returns:
        What was found; status `empty` where there is no document.
    """

    def check() -> dict[str, Any]:
        suite = load_suite(collection, folder)
        engine.check(suite)
        frame = read_frame(db[collection], suite.columns, limit)
        if frame.empty:
            return {"message": "no documents yet"}
        total = max(db[collection].estimated_document_count(), len(frame))
        try:
            findings = engine.validate(suite, add_rules(frame, suite.rules))
        except RuleError as error:
            raise SuiteError(f"{suite.path.name}: {error}") from None
        return {
            "checked": len(frame),
            "total": total,
            "evaluated": len(suite.expectations),
            "findings": tuple(findings),
        }

    return _outcome(collection, check)


def check_reconciliation(db: Database[Document], config: Config) -> Outcome:
    """Compare Kafka's offsets and the stream's counters with the documents (see `reconcile`).

    Args:
        db: The platform's database.
        config: Kafka and topic.

    Returns:
        What was found; status `empty` where neither topic nor stream exist, `error` where Kafka does not answer.
    """

    def check() -> dict[str, Any]:
        ledger = read_ledger(db, config)
        if ledger is None:
            return {"message": f"no topic {config.topic} and no stream yet"}
        documents = ledger.enriched + ledger.dead
        return {
            "checked": documents,
            "total": documents,
            "evaluated": CHECKS,
            "findings": tuple(reconcile(ledger)),
            "message": f"lag {ledger.lag:,} records",
            "figures": ledger.figures(),
        }

    return _outcome(RECONCILIATION, check)


def _outcome(name: str, check: Callable[[], dict[str, Any]]) -> Outcome:
    started_at, start = datetime.now(UTC), time.monotonic()
    try:
        found = check()
    except (SuiteError, KafkaUnreachable) as error:
        found = {"error": str(error)}
    except PyMongoError as error:
        found = {"error": f"MongoDB: {str(error).splitlines()[0][:300]}"}
    return Outcome(collection=name, started_at=started_at, seconds=time.monotonic() - start, **found)


def store(db: Database[Document], run_id: str, outcome: Outcome, report: str, report_url: str | None) -> None:
    """Write the outcome to `data_quality_results`; the same run and collection overwrite what they stored before."""
    document = outcome.document(run_id, report, report_url)
    db[RESULTS].replace_one({"_id": document["_id"]}, document, upsert=True)
