"""Find customer segments in the features of all users, and name them by their profile: `customer_segments`."""

from __future__ import annotations

import sys

from spark_jobs.ml import segments
from spark_jobs.ml.run import Outcome, TrainingRun, training_job
from spark_jobs.ml.segment_names import name_segments


def compute(run: TrainingRun) -> Outcome:
    """Fit, name and assign."""
    inputs = segments.segment_inputs(run.read("features")).cache()
    clustering = segments.cluster(inputs)
    names = name_segments(clustering.centres)
    documents = segments.segment_documents(clustering, inputs, names, run.as_of)
    profiles = segments.segment_profiles(documents)
    return Outcome(
        {"segments": documents},
        result={"segments": len(profiles), "silhouette": max(clustering.silhouettes.values())},
        metrics={"silhouettes": {str(k): value for k, value in clustering.silhouettes.items()}, "profiles": profiles},
        parameters={"inputs": list(segments.INPUTS), "clusters": len(names), "seed": segments.SEED},
        model=clustering.model,
    )


if __name__ == "__main__":
    sys.exit(training_job("segments", "customer_segments", __doc__, compute))
