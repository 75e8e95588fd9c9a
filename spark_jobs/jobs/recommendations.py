"""Recommend products by what went together in the 30 days before a moment: `product_recommendations`."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta

from pyspark.sql import functions as F

from spark_jobs.errors import JobSkipped
from spark_jobs.ml import recommendations
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import between
from spark_jobs.ml.features import WINDOW_DAYS
from spark_jobs.ml.run import Outcome, TrainingRun, training_job

log = logging.getLogger(__name__)

# The last day judges what the days before it would have recommended.
JUDGED = timedelta(days=1)


def compute(run: TrainingRun) -> Outcome:
    """Find what goes together, and measure on the last day whether it serves."""
    run.require_events()
    touched = recommendations.touches(run.recent_events()).cache()
    if touched.isEmpty():
        raise JobSkipped(f"nobody viewed or bought anything in the {WINDOW_DAYS} days before {iso(run.as_of)}")
    found = recommendations.affinities(touched)
    found.similar.cache()
    rates = evaluate(run)
    frames = {
        "product_recommendations": recommendations.recommendation_documents(
            found.similar.where(F.col("rank") <= recommendations.TOP), "product", "product_id", run.as_of
        ),
        "user_recommendations": recommendations.recommendation_documents(
            recommendations.user_recommendations(touched, found), "user", "user_id", run.as_of
        ),
        "popular_products": recommendations.recommendation_documents(
            recommendations.popular_products(touched), "popular", None, run.as_of
        ),
    }
    return Outcome(
        frames,
        result=rates,
        parameters={
            "window_days": WINDOW_DAYS,
            "top": recommendations.TOP,
            "prior_sessions": recommendations.PRIOR_SESSIONS,
            "recent_products": recommendations.RECENT_PRODUCTS,
            "neighbours": recommendations.NEIGHBOURS,
            "most_per_session": recommendations.MOST_PER_SESSION,
            "most_per_user": recommendations.MOST_PER_USER,
        },
    )


def evaluate(run: TrainingRun) -> dict[str, float | int | None]:
    """Recommend as of a day earlier, and look at what users did on that day."""
    cutoff = run.as_of - JUDGED
    before = between(run.events, cutoff - timedelta(days=WINDOW_DAYS), cutoff)
    known = recommendations.touches(before).cache()
    rates = recommendations.hit_rates(known, recommendations.touches(between(run.events, cutoff, run.as_of)))
    known.unpersist()
    if not rates["users_evaluated"]:
        log.info("no user of the last day touched a product that was new to them: there is no hit rate")
    return rates


if __name__ == "__main__":
    sys.exit(training_job("recommendations", "product_recommendations", __doc__, compute))
