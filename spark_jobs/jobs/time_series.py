"""Report the figures of each of the 30 days before a moment, with moving averages: `time_series_analysis`."""

from __future__ import annotations

import sys

from spark_jobs.ml.run import Outcome, TrainingRun, training_job
from spark_jobs.ml.time_series import DAYS, time_series_documents


def compute(run: TrainingRun) -> Outcome:
    """Compute the documents."""
    run.require_events()
    documents = time_series_documents(run.events, run.as_of, run.snapshot.first_event)
    return Outcome({"time_series": documents}, parameters={"days": DAYS})


if __name__ == "__main__":
    sys.exit(training_job("time_series", "time_series_analysis", __doc__, compute))
