"""Train a churn model on the week before a moment, and score all users for the week after it: `churn_predictions`."""

from __future__ import annotations

import sys
from datetime import timedelta

from spark_jobs.errors import JobSkipped
from spark_jobs.ml import churn
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.run import Outcome, TrainingRun, training_job


def compute(run: TrainingRun) -> Outcome:
    """Train, evaluate and score."""
    if run.history < churn.LEAST_HISTORY:
        raise JobSkipped(
            f"{run.history / timedelta(days=1):.1f} days of events before {iso(run.as_of)}, churn needs at least "
            f"{churn.LEAST_HISTORY.days} (the first known event happened at {iso(run.snapshot.first_event)})"
        )
    first_event = run.snapshot.first_event
    model = churn.train(churn.labelled(run.events, run.as_of, first_event).cache())
    documents = churn.predictions(model, churn.churn_inputs(run.read("features"), run.as_of, first_event), run.as_of)
    metrics = model.metrics
    return Outcome(
        {"churn": documents},
        result={name: metrics[name] for name in ("auc", "pr_auc", "brier", "users_held_out")}
        | {"baseline_auc": metrics["baseline"]["auc"]},
        metrics=metrics,
        parameters={
            **churn.FOREST,
            "inputs": list(churn.INPUTS),
            "horizon_days": churn.HORIZON.days,
            "held_out_percent": churn.HELD_OUT_PERCENT,
            "medium_risk_from": model.thresholds.medium,
            "high_risk_from": model.thresholds.high,
        },
        model=model.pipeline,
    )


if __name__ == "__main__":
    sys.exit(training_job("churn", "churn_predictions", __doc__, compute))
