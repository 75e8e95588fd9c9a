"""Checking one collection, or the books of the stream, and storing what was found."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pymongo.database import Database
from pymongo.errors import PyMongoError

from spark_jobs.config import Config
from spark_jobs.events.topic import KafkaUnreachable
from spark_jobs.mongo import Document
from spark_jobs.quality.books import read_ledger
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.frames import read_frame
from spark_jobs.quality.outcome import Outcome
from spark_jobs.quality.reconcile import CHECKS, reconcile
from spark_jobs.quality.rules import RuleError, add_rules
from spark_jobs.quality.suites import SUITES_FOLDER, Suite, SuiteError, load_suite

log = logging.getLogger(__name__)

RECONCILIATION = "reconciliation"
RESULTS = "data_quality_results"


@dataclass(frozen=True)
class Fetched:
    """A collection's suite and newest documents, or why there are none.

    Attributes:
        collection: Its name.
        started_at: When the check began, UTC.
        seconds: How long reading took.
        suite: Its suite, if that could be read.
        frame: Its documents (see `frames.to_frame`), if they could be read.
        total: How many documents there are.
        error: What went wrong.
    """

    collection: str
    started_at: datetime
    seconds: float
    suite: Suite | None = None
    frame: pd.DataFrame | None = None
    total: int = 0
    error: str | None = None


def fetch(db: Database[Document], collection: str, limit: int, folder: Path = SUITES_FOLDER) -> Fetched:
    """Read the suite and the newest documents of a collection; needs no Great Expectations.

    Args:
        db: The platform's database.
        collection: Name of the collection, and of its suite.
        limit: Largest number of documents.
        folder: Where the suites are.
    """

    def read() -> dict[str, Any]:
        suite = load_suite(collection, folder)
        frame = read_frame(db[collection], suite.columns, limit)
        # Counting is not free everywhere, and needless where everything was read.
        total = len(frame) if len(frame) < limit else max(limit, db[collection].estimated_document_count())
        return {"suite": suite, "frame": frame, "total": total}

    started_at, (found, seconds) = datetime.now(UTC), _attempt(collection, read)
    return Fetched(collection=collection, started_at=started_at, seconds=seconds, **found)


def evaluate(fetched: Fetched, engine: Engine) -> Outcome:
    """Check what was fetched against its suite.

    Whatever prevents that is an outcome, too (status `error`): other collections can still be checked.

    Args:
        fetched: From `fetch`.
        engine: Evaluates the expectations.

    Returns:
        What was found; status `empty` where there is no document.
    """

    def check() -> dict[str, Any]:
        suite, frame = fetched.suite, fetched.frame
        if suite is None or frame is None:
            return {"error": fetched.error}
        engine.check(suite)
        if frame.empty:
            return {"message": "no documents yet"}
        findings = engine.validate(suite, add_rules(frame, suite.rules))
        return {
            "checked": len(frame),
            "total": fetched.total,
            "evaluated": len(suite.expectations),
            "findings": tuple(findings),
        }

    found, seconds = _attempt(fetched.collection, check)
    return Outcome(fetched.collection, fetched.started_at, fetched.seconds + seconds, **found)


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

    started_at, (found, seconds) = datetime.now(UTC), _attempt(RECONCILIATION, check)
    return Outcome(RECONCILIATION, started_at, seconds, **found)


def store(db: Database[Document], run_id: str, outcome: Outcome, report: str, report_url: str | None) -> None:
    """Write the outcome to `data_quality_results`; the same run and collection overwrite what they stored before."""
    document = outcome.document(run_id, report, report_url)
    db[RESULTS].replace_one({"_id": document["_id"]}, document, upsert=True)


def first_line(error: BaseException) -> str:
    """What went wrong, without the driver's description of the whole topology."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(" (configured timeouts")[0][:300]


def _attempt(name: str, step: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """Run a step; returns what it found, or `error`, and how long it took."""
    start = time.monotonic()
    try:
        found = step()
    except (SuiteError, KafkaUnreachable) as error:
        found = {"error": str(error)}
    except RuleError as error:
        found = {"error": f"{name}.json: {error}"}
    except PyMongoError as error:
        found = {"error": f"MongoDB: {first_line(error)}"}
    except Exception as error:
        # One collection must not keep the others from being checked, whatever is wrong with it.
        log.exception("%s could not be checked", name)
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    return found, time.monotonic() - start
