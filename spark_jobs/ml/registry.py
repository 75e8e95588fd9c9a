"""`model_runs`: what each run of each model was made of and how good it is, and which run is the one to read."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from spark_jobs.ml.as_of import iso
from spark_jobs.mongo import Document, upsert

log = logging.getLogger(__name__)

COLLECTION = "model_runs"
LATEST = "latest"

# A run is promoted only with both: pages show segments and churn of one and the same moment.
REQUIRED_MODELS = ("segments", "churn")

# AUC of two honest runs on some hundred held-out users differs by about this much by chance alone.
AUC_TOLERANCE = 0.05


@cache
def code_version() -> str:
    """Hash of the sources of this package: another hash means that another result is no surprise."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("**/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def record_run(db: Database[Document], as_of: datetime, model: str, document: dict[str, Any]) -> None:
    """Write the `model_runs` document of one model as of one moment; the last thing a run does."""
    fixed = {
        "_id": f"{iso(as_of)}|{model}",
        "kind": "run",
        "as_of": as_of,
        "model": model,
        "code_version": code_version(),
        "finished_at": datetime.now(UTC),
    }
    upsert(db, COLLECTION, [fixed | document])


def judge(as_of: datetime, runs: dict[str, Document], latest: Document | None) -> tuple[bool, str]:
    """Decide whether the run of `as_of` becomes the one that pages read.

    Args:
        as_of: The run.
        runs: Its `model_runs` documents by model.
        latest: The pointer document, if there is one.

    Returns:
        Whether to promote, and why.
    """
    missing = [model for model in REQUIRED_MODELS if model not in runs]
    if missing:
        return False, f"no {' and no '.join(missing)} run as of {iso(as_of)}"
    auc = runs["churn"]["metrics"]["auc"]
    if latest is None:
        return True, f"first promoted run, churn AUC {auc:.3f}"
    if as_of < latest["as_of"]:
        return False, f"older than the promoted run of {iso(latest['as_of'])}"
    if as_of == latest["as_of"]:
        return True, f"promoted before, churn AUC {auc:.3f}"
    comparison = f"churn AUC {auc:.3f}, the promoted run of {iso(latest['as_of'])} has {latest['churn_auc']:.3f}"
    if auc < latest["churn_auc"] - AUC_TOLERANCE:
        return False, f"clearly worse: {comparison} (tolerance {AUC_TOLERANCE})"
    return True, comparison


def promote(db: Database[Document], as_of: datetime) -> tuple[bool, str]:
    """Point `latest` at the run of `as_of` if `judge` says so; it never moves to an older moment."""
    found = db[COLLECTION].find({"_id": {"$in": [f"{iso(as_of)}|{model}" for model in REQUIRED_MODELS]}})
    runs = {document["model"]: document for document in found}
    promoted, reason = judge(as_of, runs, db[COLLECTION].find_one({"_id": LATEST}))
    log.info("%s %s: %s", iso(as_of), "promoted" if promoted else "not promoted", reason)
    if not promoted:
        return False, reason
    pointer = {
        "kind": LATEST,
        "as_of": as_of,
        "churn_auc": runs["churn"]["metrics"]["auc"],
        "reason": reason,
        "promoted_at": datetime.now(UTC),
    }
    try:
        # The condition holds even if a newer run is promoted between the judgement and this line.
        db[COLLECTION].update_one({"_id": LATEST, "as_of": {"$lte": as_of}}, {"$set": pointer}, upsert=True)
    except DuplicateKeyError:
        return False, "a newer run was promoted at the same time"
    return True, reason
