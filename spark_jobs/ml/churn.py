"""Who will not come back within 7 days: a random forest trained on what the users of a week ago have done since.

Gradient-boosted trees and a rule that knows recency alone are measured beside it, on the same users.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import GBTClassifier, RandomForestClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.ml.as_of import iso
from spark_jobs.ml.churn_data import INPUTS, require_classes
from spark_jobs.ml.evaluation import (
    Array,
    RiskThresholds,
    auc,
    calibration_table,
    isotonic,
    quality,
    risk_thresholds,
)
from spark_jobs.ml.events import document_id

log = logging.getLogger(__name__)

# Leaves of at least five users: better calibrated than pure leaves, and no worse at ranking.
FOREST: dict[str, Any] = {"numTrees": 100, "maxDepth": 10, "minInstancesPerNode": 5, "seed": 20191001}
# Small steps of shallow trees, in about the time that the forest takes.
BOOSTING: dict[str, Any] = {"maxIter": 20, "maxDepth": 3, "stepSize": 0.2, "minInstancesPerNode": 5, "seed": 20191001}

_COLUMNS: dict[str, Any] = {"labelCol": "churned", "featuresCol": "inputs"}
_SCORED = ("held_out", "churned", "recency_days", "churn_probability")


@dataclass(frozen=True)
class ChurnModel:
    """A trained and evaluated model.

    Attributes:
        pipeline: Assembler and forest.
        thresholds: Where risk levels begin.
        metrics: `auc`, `pr_auc`, `brier` on held-out users; `baseline`, the same for recency alone; `boosting`, the
            same for gradient-boosted trees, with their `calibration`; `calibration`; `feature_importances`;
            `class_balance`, numbers of users that churned and returned; numbers of users and shares of churned ones.
    """

    pipeline: PipelineModel
    thresholds: RiskThresholds
    metrics: dict[str, Any]


def train(data: DataFrame) -> ChurnModel:
    """Fit the forest to the users not held out, and measure it on those held out, beside boosted trees and recency.

    Args:
        data: As from `labelled`, better cached.

    Raises:
        JobSkipped: There is too little to learn from.
    """
    require_classes(data)
    forest = _fit(RandomForestClassifier(**_COLUMNS, **FOREST), data)
    boosted = _fit(GBTClassifier(**_COLUMNS, **BOOSTING), data)
    scored = _scores(forest, data)
    held_out, churned, recency, probability = (scored[name] for name in _SCORED)
    labels, probabilities = churned[held_out], probability[held_out]
    boosted_probabilities = _scores(boosted, data)["churn_probability"][held_out]
    table = calibration_table(labels, probabilities)
    metrics: dict[str, Any] = {
        **quality(labels, probabilities, probabilities),
        "baseline": recency_rule(isotonic(churned[~held_out], recency[~held_out]), labels, recency[held_out]),
        "boosting": {
            **quality(labels, boosted_probabilities, boosted_probabilities),
            "calibration": calibration_table(labels, boosted_probabilities),
        },
        "calibration": table,
        "feature_importances": _importances(forest),
        "class_balance": {"trained_on": _balance(churned[~held_out]), "held_out": _balance(labels)},
        "users_trained_on": len(churned) - len(labels),
        "users_held_out": len(labels),
        "churn_rate_trained_on": float(churned[~held_out].mean()),
        "churn_rate_held_out": float(labels.mean()),
    }
    log.info(
        "AUC %.3f on %d held-out users, boosted trees %.3f, recency alone %.3f",
        metrics["auc"],
        len(labels),
        metrics["boosting"]["auc"],
        metrics["baseline"]["auc"],
    )
    return ChurnModel(forest, risk_thresholds(table), metrics)


def _fit(classifier: Any, data: DataFrame) -> PipelineModel:
    """Fit a classifier to the users not held out."""
    assembler = VectorAssembler(inputCols=list(INPUTS), outputCol="inputs")
    return Pipeline(stages=[assembler, classifier]).fit(data.where(~F.col("held_out")))


def _scores(model: PipelineModel, data: DataFrame) -> dict[str, Any]:
    """Return the columns `_SCORED` as arrays, in the order of `user_id`."""
    table = with_probability(model, data).select("user_id", *_SCORED).toArrow().sort_by("user_id")
    return {name: table[name].to_numpy() for name in _SCORED}


def _importances(forest: PipelineModel) -> list[dict[str, Any]]:
    """List each input with its share in what the trees gain by splitting, the greatest first."""
    trees: Any = forest.stages[-1]
    pairs = zip(INPUTS, trees.featureImportances.toArray().tolist(), strict=True)
    return [{"feature": name, "importance": share} for name, share in sorted(pairs, key=lambda pair: (-pair[1], pair))]


def _balance(labels: Array) -> dict[str, int]:
    churned = int(labels.sum())
    return {"churned": churned, "returned": len(labels) - churned}


def held_out_auc(model: PipelineModel, held_out: DataFrame) -> float | None:
    """Measure any churn model on held-out users.

    Args:
        model: Trained at any moment: users are held out by their id, so it has seen none of these.
        held_out: `churned` and its inputs.

    Returns:
        The AUC; None for a model that asks for other inputs, so one of an older version of this code.
    """
    assembler: Any = model.stages[0]
    if not set(assembler.getInputCols()) <= set(held_out.columns):
        return None
    scored = with_probability(model, held_out).select("churned", "churn_probability").toArrow()
    return auc(scored["churned"].to_numpy(), scored["churn_probability"].to_numpy())


def recency_rule(rule: tuple[Array, Array], labels: Array, recency_days: Array) -> dict[str, float]:
    """Measure the best that recency alone can do: the longer the silence, the likelier the churn.

    Args:
        rule: Recency in ascending order and churn rate at each, as `isotonic` fits them to users trained on.
        labels: 1 for a held-out user that churned.
        recency_days: Their recency.
    """
    return quality(labels, recency_days, np.interp(recency_days, *rule))


def with_probability(model: PipelineModel, inputs: DataFrame) -> DataFrame:
    """Add `churn_probability`."""
    return model.transform(inputs).withColumn("churn_probability", vector_to_array(F.col("probability"))[1])


def predictions(churn: ChurnModel, inputs: DataFrame, as_of: datetime) -> DataFrame:
    """Score all users: the documents of `churn_predictions`.

    Args:
        churn: The model.
        inputs: As from `churn_inputs` at `as_of`.
        as_of: The moment; the prediction is about the 7 days after it.

    Returns:
        `_id`, `as_of`, `user_id`, `churn_probability`, `churn_prediction` (1: more likely than not), `risk_level`.
    """
    probability = F.col("churn_probability")
    level = F.when(probability < churn.thresholds.medium, "Low")
    if churn.thresholds.high is not None:
        level = level.when(probability >= churn.thresholds.high, "High")
    return with_probability(churn.pipeline, inputs).select(
        document_id(iso(as_of), "user_id").alias("_id"),
        F.lit(as_of).alias("as_of"),
        "user_id",
        "churn_probability",
        (probability > F.lit(0.5)).cast("int").alias("churn_prediction"),
        level.otherwise("Medium").alias("risk_level"),
    )
