"""`model_runs`: what each run of each model was made of and how good it is, and which run is the one to read."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyspark
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from spark_jobs.ml.as_of import iso
from spark_jobs.mongo import Document, upsert

log = logging.getLogger(__name__)

COLLECTION = "model_runs"
# What each model writes.
COLLECTIONS = {
    "features": "user_feature_engineering",
    "segments": "customer_segments",
    "churn": "churn_predictions",
    "recommendations": "product_recommendations",
    "time_series": "time_series_analysis",
    "statistics": "statistical_analysis",
    "journeys": "journey_metrics",
}
LATEST = "latest"

# A run is promoted only with both: pages show segments and churn of one and the same moment.
REQUIRED_MODELS = ("segments", "churn")

# AUC of two honest models on some hundred held-out users differs by about this much by chance alone.
AUC_TOLERANCE = 0.05


@cache
def code_version() -> str:
    """Hash of the jobs' sources and Spark's version: another hash means that another result is no surprise."""
    digest = hashlib.blake2b(pyspark.__version__.encode(), digest_size=8)
    root = Path(__file__).parents[1]
    for path in sorted(root.glob("**/*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _run_id(as_of: datetime, model: str) -> str:
    return f"{iso(as_of)}|{model}"


def record_run(db: Database[Document], as_of: datetime, model: str, document: dict[str, Any]) -> None:
    """Write the `model_runs` document of one model as of one moment; the last thing a run does."""
    fixed = {
        "_id": _run_id(as_of, model),
        "kind": "run",
        "as_of": as_of,
        "model": model,
        "code_version": code_version(),
        "finished_at": datetime.now(UTC),
    }
    db[COLLECTION].create_index([("model", 1), ("as_of", -1)])
    upsert(db, COLLECTION, [fixed | document])


def recorded_run(db: Database[Document], as_of: datetime, model: str) -> Document | None:
    """Return the `model_runs` document of one model as of one moment."""
    return db[COLLECTION].find_one({"_id": _run_id(as_of, model)})


def forget_run(db: Database[Document], as_of: datetime, model: str) -> None:
    """Delete the `model_runs` document of one model as of one moment."""
    db[COLLECTION].delete_one({"_id": _run_id(as_of, model)})


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run.

    Attributes:
        promoted: Whether it is the one that pages read.
        reason: Why, or why not.
        refused: Whether it is not only because its model is clearly worse; a person may overrule that.
    """

    promoted: bool
    reason: str
    refused: bool = False


def judge(
    as_of: datetime, runs: dict[str, Document], latest: Document | None, rival_auc: float | None = None
) -> Verdict:
    """Decide whether the run of `as_of` becomes the one that pages read.

    Args:
        as_of: The run.
        runs: Its `model_runs` documents by model.
        latest: The pointer document, if there is one.
        rival_auc: AUC of the promoted churn model on the held-out users of this run; None where it is not known. What
            the promoted model had on its own held-out users, a while ago, counts then.
    """
    missing = [model for model in REQUIRED_MODELS if model not in runs or "dropped_at" in runs[model]]
    if missing:
        return Verdict(False, f"no {' and no '.join(missing)} run as of {iso(as_of)}")
    if len({runs[model].get("data_fingerprint") for model in REQUIRED_MODELS}) > 1:
        return Verdict(False, f"{' and '.join(REQUIRED_MODELS)} have seen different events: train {iso(as_of)} again")
    auc = runs["churn"]["metrics"]["auc"]
    if latest is None:
        return Verdict(True, f"first promoted run, churn AUC {auc:.3f}")
    if as_of < latest["as_of"]:
        return Verdict(False, f"older than the promoted run of {iso(latest['as_of'])}")
    if as_of == latest["as_of"]:
        return Verdict(True, f"trained again: churn AUC {auc:.3f}, was {latest['churn_auc']:.3f} when last promoted")
    if rival_auc is None:
        rival, where = latest["churn_auc"], ""
    else:
        rival, where = rival_auc, " on the same users"
    comparison = f"churn AUC {auc:.3f}, the promoted run of {iso(latest['as_of'])} has {rival:.3f}{where}"
    if auc < rival - AUC_TOLERANCE:
        return Verdict(False, f"clearly worse: {comparison} (tolerance {AUC_TOLERANCE})", refused=True)
    return Verdict(True, comparison)


def latest(db: Database[Document]) -> Document | None:
    """Return the pointer to the moment that pages read, by its `_id`."""
    return db[COLLECTION].find_one({"_id": LATEST})


def promote(db: Database[Document], as_of: datetime, rival_auc: float | None = None, by: str | None = None) -> Verdict:
    """Point `latest` at the run of `as_of` if `judge` says so; it never moves to an older moment.

    Args:
        db: The platform's database.
        as_of: The run.
        rival_auc: As for `judge`.
        by: Who promotes the run by hand, though it was refused.
    """
    ids = [_run_id(as_of, model) for model in REQUIRED_MODELS]
    runs = {document["model"]: document for document in db[COLLECTION].find({"_id": {"$in": ids}})}
    verdict = judge(as_of, runs, latest(db), rival_auc)
    if verdict.refused and by:
        verdict = Verdict(True, f"promoted by {by}, though {verdict.reason}")
    if verdict.promoted and not _point_at(db, as_of, runs["churn"]["metrics"]["auc"], verdict.reason):
        verdict = Verdict(False, "a newer run was promoted at the same time")
    told = {"promoted": verdict.promoted, "promotion": verdict.reason}
    db[COLLECTION].update_many({"_id": {"$in": ids}}, {"$set": told})
    log.info("%s %s: %s", iso(as_of), "promoted" if verdict.promoted else "not promoted", verdict.reason)
    return verdict


def _point_at(db: Database[Document], as_of: datetime, auc: float, reason: str) -> bool:
    """Move the pointer; returns False where it points to a newer moment by now."""
    pointer = {"kind": LATEST, "as_of": as_of, "churn_auc": auc, "reason": reason, "promoted_at": datetime.now(UTC)}
    try:
        # The condition holds even if a newer run is promoted between the judgement and this line.
        db[COLLECTION].update_one({"_id": LATEST, "as_of": {"$lte": as_of}}, {"$set": pointer}, upsert=True)
    except DuplicateKeyError:
        return False
    return True
