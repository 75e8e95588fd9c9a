"""Train a churn model on the week before a moment, and score all users for the week after it: `churn_predictions`."""

from __future__ import annotations

import sys
from datetime import timedelta

from spark_jobs.errors import JobSkipped
from spark_jobs.ml import churn, churn_data
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.run import HELD_OUT, Outcome, TrainingRun, training_job


def compute(run: TrainingRun) -> Outcome:
    """Train, evaluate and score."""
    if run.history < churn_data.LEAST_HISTORY:
        raise JobSkipped(
            f"{run.history / timedelta(days=1):.1f} days of events before {iso(run.as_of)}, churn needs at least "
            f"{churn_data.LEAST_HISTORY.days} (the first known event happened at {iso(run.snapshot.first_event)})"
        )
    silence = run.as_of - run.snapshot.last_event
    if silence > churn_data.LONGEST_SILENCE:
        raise JobSkipped(
            f"the latest known event happened {silence / timedelta(days=1):.1f} days before {iso(run.as_of)}: who came "
            "back in the last week is not known (has the stream fallen behind?)"
        )
    first_event = run.snapshot.first_event
    data = churn_data.labelled(run.events, run.as_of, first_event).cache()
    model = churn.train(data)
    documents = churn.predictions(
        model, churn_data.churn_inputs(run.read("features"), run.as_of, first_event), run.as_of
    )
    metrics = model.metrics
    return Outcome(
        {"churn": documents},
        result={name: metrics[name] for name in ("auc", "pr_auc", "brier", "users_held_out")}
        | {"baseline_auc": metrics["baseline"]["auc"], "boosting_auc": metrics["boosting"]["auc"]},
        metrics=metrics,
        parameters={
            **churn.FOREST,
            "boosting": churn.BOOSTING,
            "inputs": list(churn_data.INPUTS),
            "horizon_days": churn_data.HORIZON.days,
            "held_out_percent": churn_data.HELD_OUT_PERCENT,
            "medium_risk_from": model.thresholds.medium,
            "high_risk_from": model.thresholds.high,
        },
        model=model.pipeline,
        artefacts={HELD_OUT: data.where("held_out")},
    )


if __name__ == "__main__":
    sys.exit(training_job("churn", "churn_predictions", __doc__, compute))
