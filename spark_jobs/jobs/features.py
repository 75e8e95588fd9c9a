"""Compute the features of each user from the 30 days before a moment: `user_feature_engineering`."""

from __future__ import annotations

import sys

from spark_jobs.ml.features import WINDOW_DAYS, feature_documents, user_features, with_value_score
from spark_jobs.ml.run import Outcome, TrainingRun, training_job


def compute(run: TrainingRun) -> Outcome:
    """Compute the documents."""
    run.require_events()
    features = with_value_score(user_features(run.events, run.as_of))
    return Outcome({"features": feature_documents(features, run.as_of)}, parameters={"window_days": WINDOW_DAYS})


if __name__ == "__main__":
    sys.exit(training_job("features", "user_feature_engineering", __doc__, compute))
