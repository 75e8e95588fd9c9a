"""Recommend products by what went together in the 30 days before a moment: `product_recommendations`."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_jobs.errors import JobSkipped
from spark_jobs.ml import recommendations
from spark_jobs.ml.affinity import NEIGHBOURS, PRIOR_SESSIONS, affinities
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import between
from spark_jobs.ml.features import WINDOW_DAYS
from spark_jobs.ml.run import Outcome, TrainingRun, training_job
from spark_jobs.ml.touches import MOST_PER_SESSION, MOST_PER_USER, Touches

log = logging.getLogger(__name__)

# The last day judges what the days before it would have recommended.
JUDGED = timedelta(days=1)


def compute(run: TrainingRun) -> Outcome:
    """Find what goes together, and measure on the last day whether it serves."""
    run.require_events()
    touched = Touches.collect(run.recent_events())
    if not len(touched.users):
        raise JobSkipped(f"nobody viewed or bought anything in the {WINDOW_DAYS} days before {iso(run.as_of)}")
    log.info("%s touches of %s products", f"{len(touched.users):,}", f"{len(touched.product_ids):,}")
    found = affinities(touched)
    similar = found.similar.first(recommendations.TOP)
    rates = evaluate(run)

    def documents(kind: str, key: str | None, ranked: pa.Table) -> DataFrame:
        return recommendations.recommendation_documents(run.spark.createDataFrame(ranked), kind, key, run.as_of)

    products = touched.product_ids
    popular = recommendations.popular_products(touched)
    for_users = recommendations.user_recommendations(touched, found)
    frames = {
        "product_recommendations": documents(
            "product", "product_id", recommendations.table(similar, products, "product_id", products)
        ),
        "user_recommendations": documents(
            "user", "user_id", recommendations.table(for_users, products, "user_id", touched.user_ids)
        ),
        "popular_products": documents("popular", None, recommendations.table(popular, products)),
    }
    return Outcome(
        frames,
        result=rates,
        parameters={
            "window_days": WINDOW_DAYS,
            "top": recommendations.TOP,
            "prior_sessions": PRIOR_SESSIONS,
            "recent_products": recommendations.RECENT_PRODUCTS,
            "neighbours": NEIGHBOURS,
            "most_per_session": MOST_PER_SESSION,
            "most_per_user": MOST_PER_USER,
        },
    )


def evaluate(run: TrainingRun) -> dict[str, float | int | None]:
    """Recommend as of a day earlier, and look at what users did on that day."""
    cutoff = run.as_of - JUDGED
    before = between(run.events, cutoff - timedelta(days=WINDOW_DAYS), cutoff)
    after = between(run.events, cutoff, run.as_of)
    rates = recommendations.hit_rates(Touches.collect(before), Touches.collect(after))
    if not rates["users_evaluated"]:
        log.info("no user of the last day touched a product that was new to them: there is no hit rate")
    return rates


if __name__ == "__main__":
    sys.exit(training_job("recommendations", "product_recommendations", __doc__, compute))
