"""Report how the visits of the 30 days before a moment led to a purchase, or did not: `journey_metrics`."""

from __future__ import annotations

import sys

from spark_jobs.ml import journeys
from spark_jobs.ml.features import WINDOW_DAYS
from spark_jobs.ml.run import Outcome, TrainingRun, training_job


def compute(run: TrainingRun) -> Outcome:
    """Compute the documents."""
    run.require_events()
    visits = journeys.visits(run.recent_events()).cache()
    return Outcome(
        {
            "session_funnel": journeys.funnel_documents(visits, run.as_of),
            "drop_off": journeys.drop_off_documents(visits, run.as_of),
            "durations": journeys.duration_documents(visits, run.as_of),
            "top_paths": journeys.path_documents(visits, run.as_of),
        },
        parameters={"window_days": WINDOW_DAYS, "visit_gap_minutes": journeys.VISIT_GAP_MINUTES},
    )


if __name__ == "__main__":
    sys.exit(training_job("journeys", "journey_metrics", __doc__, compute))
