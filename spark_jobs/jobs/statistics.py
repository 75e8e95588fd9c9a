"""Report prices, correlations and categories of the 30 days before a moment: `statistical_analysis`."""

from __future__ import annotations

import sys

from spark_jobs.ml.features import WINDOW_DAYS
from spark_jobs.ml.run import Outcome, TrainingRun, training_job
from spark_jobs.ml.statistics import category_statistics, correlations, price_summary


def compute(run: TrainingRun) -> Outcome:
    """Compute the documents."""
    run.require_events()
    events = run.recent_events()
    return Outcome(
        {
            "price_summary": price_summary(events, run.as_of),
            "correlation": correlations(events, run.as_of),
            "category": category_statistics(events, run.as_of),
        },
        parameters={"window_days": WINDOW_DAYS},
    )


if __name__ == "__main__":
    sys.exit(training_job("statistics", "statistical_analysis", __doc__, compute))
