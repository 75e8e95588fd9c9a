"""What a churn model learns from: users before a cutoff, and whether they came back in the week after it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.events import between
from spark_jobs.ml.features import WINDOW_DAYS, user_features

HORIZON = timedelta(days=7)
LEAST_HISTORY = timedelta(days=14)
# Users seem to have churned when it is the events that are missing. A small shop may well have a day without any.
LONGEST_SILENCE = timedelta(days=2)
FEWEST_USERS = 60
FEWEST_PER_CLASS = 5

HELD_OUT_PERCENT = 30

# Bagging draws per partition: with another number of them, another forest grows.
_PARTITIONS = 4

# Totals become rates per known day: at the training's cutoff, a week earlier, a short history is shorter still.
_RATES = (
    "total_events",
    "session_count",
    "cart_count",
    "purchase_count",
    "unique_products",
    "active_days",
    "total_spend",
)
_AS_THEY_ARE = (
    "recency_days",
    "tenure_days",
    "unique_categories",
    "avg_purchase_value",
    "max_purchase_value",
    "events_per_session",
    "view_to_cart_rate",
    "cart_to_purchase_rate",
    "conversion_rate",
    "weekend_share",
    "budget_affinity",
    "luxury_affinity",
)
_DERIVED = {
    # How unusual the present silence is: 1 means as long as their visits are usually apart. -1: one day of visits only.
    "relative_recency": "coalesce(recency_days * (active_days - 1) / nullif(tenure_days - recency_days, 0), -1)",
    # Above 1: more active in the last 7 days than before.
    "recent_activity": "events_last_7_days / total_events * tenure_days / least(tenure_days, 7)",
}
INPUTS = (*(f"{name}_per_day" for name in _RATES), *_AS_THEY_ARE, *_DERIVED)


def churn_inputs(features: DataFrame, cutoff: datetime, first_event: datetime) -> DataFrame:
    """Select what the forest sees.

    Args:
        features: As from `user_features` with the same cutoff.
        cutoff: End of the events behind the features.
        first_event: Beginning of the known history.

    Returns:
        `user_id` and `INPUTS`; what is undefined for a user (a rate without a cart, say) is 0. A fixed number of
        partitions, each in the order of `user_id`: the forest depends on both.
    """
    known_days = max(1.0, min(float(WINDOW_DAYS), (cutoff - first_event) / timedelta(days=1)))
    columns = [
        *((F.col(name) / F.lit(known_days)).alias(f"{name}_per_day") for name in _RATES),
        *(F.col(name).cast("double").alias(name) for name in _AS_THEY_ARE),
        *(F.expr(expression).cast("double").alias(name) for name, expression in _DERIVED.items()),
    ]
    selected = features.select("user_id", *columns).na.fill(0.0)
    return selected.repartition(_PARTITIONS, "user_id").sortWithinPartitions("user_id")


def labelled(events: DataFrame, as_of: datetime, first_event: datetime) -> DataFrame:
    """Build the training data of `as_of`: users of the 30 days before the cutoff, a week earlier, and if they returned.

    Args:
        events: As for `user_features`.
        as_of: End of the week in which users returned, or not.
        first_event: Beginning of the known history.

    Returns:
        `user_id`, `INPUTS` from events before the cutoff only, `churned` (1.0: no event in the week), `held_out`
        (30 % of the users, by a hash of their id: the same users in every run).
    """
    cutoff = as_of - HORIZON
    returned = between(events, cutoff, as_of).select("user_id").distinct().withColumn("returned", F.lit(1))
    inputs = churn_inputs(user_features(events, cutoff), cutoff, first_event)
    bucket = F.pmod(F.xxhash64(F.lit("churn"), F.col("user_id")), F.lit(100))
    joined = inputs.join(returned, "user_id", how="left").select(
        "user_id",
        *INPUTS,
        F.col("returned").isNull().cast("double").alias("churned"),
        (bucket < HELD_OUT_PERCENT).alias("held_out"),
    )
    return joined.repartition(_PARTITIONS, "user_id").sortWithinPartitions("user_id")


def require_classes(data: DataFrame) -> None:
    """Stop early where there is nothing to learn from.

    Args:
        data: As from `labelled`.

    Raises:
        JobSkipped: Too few users, or too few that returned or churned; the message has the figures.
    """
    counts = {
        (row["held_out"], row["churned"]): row["users"]
        for row in data.groupBy("held_out", "churned").agg(F.count("*").alias("users")).collect()
    }
    users = sum(counts.values())
    if users < FEWEST_USERS:
        raise JobSkipped(
            f"churn needs at least {FEWEST_USERS} users in the {WINDOW_DAYS} days before the last week, found {users}"
        )
    for held_out, churned in ((False, 0.0), (False, 1.0), (True, 0.0), (True, 1.0)):
        found = counts.get((held_out, churned), 0)
        if found < FEWEST_PER_CLASS:
            total = sum(count for key, count in counts.items() if key[1] == churned)
            raise JobSkipped(
                f"of {users} users {total} {'churned' if churned else 'returned'} in the last week, {found} of them "
                f"among the {'held-out' if held_out else 'training'} users: churn needs {FEWEST_PER_CLASS} there"
            )
