"""The promoted churn model on the held-out users of a later run: both models judged by the same people."""

from __future__ import annotations

import logging

from spark_jobs.config import Config
from spark_jobs.errors import first_lines
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.churn import held_out_auc
from spark_jobs.ml.model_store import ModelStore
from spark_jobs.ml.run import HELD_OUT, TrainingRun
from spark_jobs.mongo import Document

log = logging.getLogger(__name__)


def rival_auc(run: TrainingRun, promoted: Document | None, config: Config) -> float | None:
    """Measure the promoted churn model on the held-out users of `run`.

    Args:
        run: The run to be judged.
        promoted: `model_runs` document of the promoted churn model, if there is one.
        config: Settings.

    Returns:
        Its AUC; None, and the log says why, where that cannot be measured.
    """
    if promoted is None or not run.artefact(HELD_OUT).is_file():
        return None
    promoted_at = iso(promoted["as_of"])
    store, path = ModelStore.open(config), promoted["artefact_path"]
    # Read first: it starts the session that loading a model needs.
    held_out = run.read(HELD_OUT)
    try:
        pipeline = store.load(path)
    except Exception as error:
        # Of another version of Spark, or half overwritten: it must not keep all later ones from being promoted.
        reason = first_lines(error)
        log.warning("the promoted model of %s cannot be loaded (%s): its figures of then count", promoted_at, reason)
        return None
    if pipeline is None:
        where = f"{store.uri} has no {path}"
        log.warning("the promoted model of %s is gone (%s): comparing with its figures of then", promoted_at, where)
        return None
    found = held_out_auc(pipeline, held_out)
    if found is None:
        log.warning("the promoted model of %s asks for other inputs: comparing with its figures of then", promoted_at)
    return found
