"""Reading `data_quality_results`, which `spark_jobs.quality.outcome` writes: one document per run and collection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shopstream.config import Config
from shopstream.mongo import connect, plain_errors

Result = dict[str, Any]

COLLECTION = "data_quality_results"

# What tables and charts need. Findings with their offenders are most of a document, and are read where they are shown.
_SHORT = dict.fromkeys(
    (
        "run_id",
        "collection",
        "status",
        "checked_documents",
        "total_documents",
        "evaluated",
        "successful",
        "critical",
        "warnings",
        "started_at",
        "seconds",
    ),
    1,
)
_WITH_FINDINGS = _SHORT | {f"failures.{name}": 1 for name in ("expectation", "severity", "observed", "figures")}


class ResultStore:
    """Reads results, for as long as the process lives: the driver keeps its connections open.

    Every method raises `StoreError` when MongoDB does not answer.
    """

    def __init__(self, config: Config) -> None:
        self._results = connect(config)[config.database][COLLECTION]

    def newest(self, count: int) -> list[Result]:
        """Return the newest `count` results without their findings, oldest first."""
        with plain_errors():
            return list(self._results.find({}, _SHORT).sort("started_at", -1).limit(count))[::-1]

    def since(self, moment: datetime) -> list[Result]:
        """Return the results from `moment` on without their findings, oldest first."""
        with plain_errors():
            return list(self._results.find({"started_at": {"$gte": moment}}, _SHORT).sort("started_at", 1))

    def of_run(self, run_id: str) -> list[Result]:
        """Return everything a run found, in the order in which it was checked."""
        with plain_errors():
            return list(self._results.find({"run_id": run_id}).sort("started_at", 1))

    def of_collection(self, collection: str, count: int) -> list[Result]:
        """Return the newest `count` results of a collection, oldest first, with their findings but no offenders."""
        with plain_errors():
            found = self._results.find({"collection": collection}, _WITH_FINDINGS).sort("started_at", -1).limit(count)
            return list(found)[::-1]
