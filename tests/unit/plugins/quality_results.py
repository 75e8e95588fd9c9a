"""Results as `spark_jobs.quality.outcome` writes them, and a store that has them in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shopstream.pages.results import ResultStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def failure(expectation: str, severity: str = "critical", percent: float | None = 0.5) -> dict[str, Any]:
    """One finding."""
    return {
        "expectation": expectation,
        "severity": severity,
        "notes": "Prices are not negative. Look at the shop's own CSV.",
        "observed": "5 of 1,000 documents (0.5 %)",
        "figures": {} if percent is None else {"unexpected_percent": percent},
        "offending_ids": [7, "<script>alert(1)</script>"],
        "offending_values": ["price=-1.0", "price=-2.0"],
    }


def result(
    collection: str = "products", hours: float = 0, run_id: str | None = None, status: str = "passed", **fields: Any
) -> dict[str, Any]:
    """The result of one check, `hours` before noon."""
    failures = fields.pop("failures", [])
    evaluated = 0 if status in ("empty", "error") else 10
    started_at = NOON - timedelta(hours=hours)
    run_id = run_id or f"scheduled__{started_at:%Y-%m-%dT%H}"
    found = {
        "_id": f"{run_id}|{collection}",
        "run_id": run_id,
        "collection": collection,
        "status": status,
        "checked_documents": 1000,
        "total_documents": 2000,
        "evaluated": evaluated,
        "successful": evaluated - len(failures),
        "critical": sum(one["severity"] == "critical" for one in failures) + (status == "error"),
        "warnings": sum(one["severity"] == "warning" for one in failures),
        "failures": failures,
        "error": "MongoDB: connection refused" if status == "error" else None,
        "message": None,
        "figures": {},
        "started_at": started_at,
        "seconds": 1.5,
    }
    return found | fields


class StoreInMemory(ResultStore):
    """Answers as `ResultStore` does."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.results = sorted(results, key=lambda one: one["started_at"])

    def newest(self, count: int) -> list[dict[str, Any]]:
        return self.results[-count:]

    def since(self, moment: datetime) -> list[dict[str, Any]]:
        return [one for one in self.results if one["started_at"] >= moment]

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        return [one for one in self.results if one["run_id"] == run_id]

    def of_collection(self, collection: str, count: int) -> list[dict[str, Any]]:
        return [one for one in self.results if one["collection"] == collection][-count:]
