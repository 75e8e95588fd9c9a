"""Does every moment that was trained have all its collections, whole?

Each training job records in `model_runs`, as the last thing it does, how many documents it wrote. A moment is complete
when all of them are there; models that are skipped where history is too short may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from spark_jobs.ml.as_of import documents_of, iso
from spark_jobs.ml.registry import COLLECTIONS
from spark_jobs.mongo import Document
from spark_jobs.quality.outcome import OFFENDERS, Finding

OPTIONAL = frozenset({"churn", "segments", "recommendations"})
CHECKS = 2

# A training may still be at work so long after its last job ended.
_AT_WORK = timedelta(hours=3)
_NEWEST = 30


def check_moments(db: Database[Document], now: datetime) -> Iterator[Finding]:
    """Look at the newest moments of the registry.

    Args:
        db: The platform's database.
        now: The present.

    Yields:
        One finding per relation that does not hold.
    """
    runs: dict[datetime, dict[str, Document]] = {}
    # What retention has dropped has its record only.
    for run in db["model_runs"].find({"kind": "run", "dropped_at": None}):
        runs.setdefault(run["as_of"], {})[run["model"]] = run
    newest = {moment: runs[moment] for moment in sorted(runs, reverse=True)[:_NEWEST]}
    counts = {
        (moment, model): _count(db, COLLECTIONS[model], moment)
        for moment, models in newest.items()
        for model in models
        if model in COLLECTIONS
    }
    # Retention may have been at work since the records were read.
    dropped = {run["as_of"] for run in db["model_runs"].find({"kind": "run", "dropped_at": {"$ne": None}})}
    left = {moment: models for moment, models in newest.items() if moment not in dropped}
    yield from compare_moments(left, {key: count for key, count in counts.items() if key[0] in left}, now)


def compare_moments(
    runs: Mapping[datetime, Mapping[str, Mapping[str, Any]]], counts: Mapping[tuple[datetime, str], int], now: datetime
) -> Iterator[Finding]:
    """Compare the registry with the collections.

    Args:
        runs: Documents of `model_runs` by moment and model.
        counts: Documents found, by moment and model.
        now: The present.
    """
    incomplete = []
    for moment, models in runs.items():
        missing = sorted(set(COLLECTIONS) - set(models) - OPTIONAL)
        if missing and now - max(one["finished_at"] for one in models.values()) > _AT_WORK:
            incomplete.append((moment, f"no {', '.join(COLLECTIONS[model] for model in missing)}"))
    if incomplete:
        yield _finding(
            "moments_are_complete",
            "warning",
            "A moment lacks collections that its training should have written: a job failed and nobody cleared it. "
            "Clear the failed tasks of that run of train_models, or trigger it with this As of.",
            incomplete,
            len(runs),
        )
    short = [
        (moment, f"{COLLECTIONS[model]} has {found:,} documents, not {runs[moment][model]['documents']:,}")
        for (moment, model), found in counts.items()
        if found != runs[moment][model]["documents"]
    ]
    if short:
        yield _finding(
            "moments_are_whole",
            "critical",
            "A collection has not the number of documents that its training recorded: documents were deleted or added "
            "by hand, or two trainings of the same moment overlapped. Trigger train_models with this As of.",
            short,
            len(runs),
        )


def _finding(key: str, severity: Any, notes: str, wrong: list[tuple[datetime, str]], moments: int) -> Finding:
    moment, what = wrong[0]
    return Finding(
        key,
        severity,
        notes,
        f"{len({at for at, _ in wrong}):,} of {moments:,} moments; {iso(moment)}: {what}",
        {"unexpected_count": len(wrong)},
        [iso(at) for at, _ in wrong[:OFFENDERS]],
        [text for _, text in wrong[:OFFENDERS]],
    )


def _count(db: Database[Document], collection: str, moment: datetime) -> int:
    return db[collection].count_documents({"_id": documents_of(iso(moment))})
