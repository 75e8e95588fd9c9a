"""Checking one collection, or the books of the stream, and storing what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from pymongo.database import Database

from spark_jobs.config import Config
from spark_jobs.mongo import Document
from spark_jobs.quality import moments, self_audit, sums
from spark_jobs.quality.books import read_ledger
from spark_jobs.quality.engine import Engine, Judging
from spark_jobs.quality.figures import Figure, Profile, figures
from spark_jobs.quality.outcome import Outcome
from spark_jobs.quality.reading import RESULTS, Source, attempt
from spark_jobs.quality.reconcile import CHECKS, reconcile
from spark_jobs.quality.references import Lookup
from spark_jobs.quality.rules import add_rules

RECONCILIATION = "reconciliation"
SELF_AUDIT = "self_audit"


class CollectionCheck:
    """Evaluates a collection while it is read.

    Whatever prevents that is an outcome, too (status `error`): other collections can still be checked.

    Args:
        source: What is being read, as far as it is known.
        engine: Evaluates the expectations.
        db: The platform's database.
        lookup: Looks up what documents refer to.
    """

    def __init__(self, source: Source, engine: Engine, db: Database[Document], lookup: Lookup) -> None:
        self._source = source
        self._db = db
        self._lookup = lookup
        self._seconds = 0.0
        self._judging: Judging | None = None
        self._profile = Profile(source.suite.figures.values() if source.suite else ())
        self._figures: dict[str, Figure] = {}
        self._error: str | None = None
        if source.suite:
            suite = source.suite
            self._judging = self._try(lambda: engine.judging(suite))

    def batch(self, frame: pd.DataFrame) -> None:
        """Evaluate a batch of documents (see `frames.to_frame`)."""
        suite, judging = self._source.suite, self._judging
        if suite is None or judging is None or self._error:
            return

        def evaluate() -> None:
            complete = add_rules(self._lookup.add(frame, suite.references), suite.rules)
            self._profile.add(complete)
            judging.batch(complete)

        self._try(evaluate)

    def outcome(self, source: Source) -> Outcome:
        """What was found in all batches; status `empty` where there is no document at all.

        Args:
            source: The source when it is done.
        """
        self._source = source
        judging = self._judging
        error = source.error or self._error
        if judging is None or source.suite is None:
            return self._outcome(error=error)
        if not source.total and not error:
            return self._outcome(message="no documents yet", window=source.mark and source.mark.document())
        if not error:
            self._try(self._evaluate_figures)
        findings = self._try(judging.findings) or []
        error = error or self._error
        return self._outcome(
            error=error,
            message=self._message(),
            checked=source.read,
            total=max(source.total, source.read),
            evaluated=len(source.suite.expectations),
            findings=tuple(findings),
            figures={name: one.value for name, one in self._figures.items()},
            # A check that was not made to its end, or of less than there is to check, is made again.
            window=None if error or source.mark is None or source.partial else source.mark.document(),
            profile=None if error else self._profile.document(),
        )

    def _evaluate_figures(self) -> None:
        suite, judging = self._source.suite, self._judging
        if suite is None or judging is None or not suite.figures:
            return
        self._figures = figures(suite.figures, self._profile, self._source.history, datetime.now(UTC), self._count)
        judging.figures(self._figures)

    def _count(self, column: str, start: datetime, end: datetime) -> int:
        return self._db[self._source.collection].count_documents({column: {"$gte": start, "$lt": end}})

    def _message(self) -> str | None:
        source = self._source
        since = source.mark.since if source.mark else None
        if source.cut:
            return f"the newest {source.read:,} only (--limit)"
        if since is None or not isinstance(since, datetime):
            return None if source.read else "nothing new since the last check"
        return f"{'since' if source.read else 'nothing new since'} {since:%Y-%m-%d %H:%M} UTC"

    def _outcome(self, **found: Any) -> Outcome:
        source = self._source
        return Outcome(source.collection, source.started_at, source.seconds + self._seconds, **found)

    def _try(self, step: Callable[[], Any]) -> Any:
        start = time.monotonic()
        error, found = attempt(self._source.collection, step)
        self._seconds += time.monotonic() - start
        if error:
            self._error = self._error or error
        return found


def check_reconciliation(db: Database[Document], config: Config) -> Outcome:
    """Compare Kafka's offsets and counters with the documents (`reconcile`, `sums`), and the registry (`moments`).

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
        findings = [*reconcile(ledger), *sums.check_sums(ledger), *moments.check_moments(db, ledger.now)]
        return {
            "checked": documents,
            "total": documents,
            "evaluated": CHECKS + sums.CHECKS + moments.CHECKS,
            "findings": tuple(sorted(findings, key=lambda one: one.severity != "critical")),
            "message": f"lag {ledger.lag:,} records",
            "figures": ledger.figures(),
        }

    return timed(RECONCILIATION, check)


def check_self_audit(db: Database[Document], config: Config) -> Outcome:  # noqa: ARG001  (as all checks are called)
    """Recompute a sample of what the stream has stored (see `self_audit`).

    Args:
        db: The platform's database.
        config: Not needed.

    Returns:
        What was found; status `empty` where nothing is closed yet.
    """

    def check() -> dict[str, Any]:
        driver = db["stream_health"].find_one({"_id": "driver"}) or {}
        sample = self_audit.choose(db, driver["watermark"]) if driver.get("watermark") else None
        if sample is None:
            return {"message": "no closed windows with events yet"}
        differences = self_audit.audit(db, sample)
        late, lost = int(driver.get("late_events") or 0), int(driver.get("lost_records") or 0)
        documents = sum(one.expected for one in differences.values())
        return {
            "checked": documents,
            "total": documents,
            "evaluated": len(differences),
            "findings": tuple(self_audit.findings(differences, sample, late, lost)),
            "message": f"recomputed {sample.start:%Y-%m-%d %H:%M} to {sample.end:%H:%M} UTC",
            "figures": {name: one.expected for name, one in differences.items()},
        }

    return timed(SELF_AUDIT, check)


def timed(name: str, check: Callable[[], dict[str, Any]]) -> Outcome:
    """Make a check that is no suite's: its outcome has what the check returns, or says why it could not be made."""
    started_at, start = datetime.now(UTC), time.monotonic()
    error, found = attempt(name, check)
    outcome = Outcome(name, started_at, **(found or {"error": error}))
    return replace(outcome, seconds=time.monotonic() - start)


def store(db: Database[Document], run_id: str, outcome: Outcome, report: str, report_url: str | None) -> None:
    """Write the outcome to `data_quality_results`; the same run and collection overwrite what they stored before."""
    document = outcome.document(run_id, report, report_url)
    db[RESULTS].replace_one({"_id": document["_id"]}, document, upsert=True)


def forget(db: Database[Document], checks: Iterable[str], before: datetime) -> int:
    """Delete the results of some checks that began before a moment; returns their number."""
    old = ({"collection": check, "started_at": {"$lt": before}} for check in checks)
    return sum(db[RESULTS].delete_many(condition).deleted_count for condition in old)
