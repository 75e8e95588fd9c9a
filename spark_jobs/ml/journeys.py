"""How visits lead to a purchase, or do not: `journey_metrics`."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id, is_type, ratio

# As in `user_session_analytics`: a longer silence ends the visit.
VISIT_GAP_MINUTES = 30
LONGEST_PATH = 8
TOP_PATHS = 20
_PATH_SEPARATOR = " > "
_PATH_CUT = "..."


def with_visit(events: DataFrame) -> DataFrame:
    """Number the visits of each session and mark where the type of event changes.

    Args:
        events: `_id`, `event_timestamp`, `event_type`, `user_id`, `user_session`.

    Returns:
        The same with `visit` (1, 2, ... within `user_id` and `user_session`) and `step` (null, or, where the event's
        type differs from the one before in its visit: 1, 2, ...).
    """
    session = Window.partitionBy("user_id", "user_session").orderBy("event_timestamp", "_id")
    until_now = session.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    visit = Window.partitionBy("user_id", "user_session", "visit").orderBy("event_timestamp", "_id")
    silence = F.unix_millis("event_timestamp") - F.lag(F.unix_millis("event_timestamp")).over(session)
    is_first = F.coalesce(silence > VISIT_GAP_MINUTES * 60_000, F.lit(True))
    is_change = ~F.col("event_type").eqNullSafe(F.lag("event_type").over(visit))
    numbered = events.withColumn("visit", F.sum(is_first.cast("int")).over(until_now)).withColumn("changes", is_change)
    so_far = F.sum(F.col("changes").cast("int")).over(visit.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    return numbered.withColumn("step", F.when(F.col("changes"), so_far)).drop("changes")


def visits(events: DataFrame) -> DataFrame:
    """Sum up each visit: events of one user and session with no gap over 30 minutes.

    Args:
        events: As for `with_visit`.

    Returns:
        `user_id`, `user_session`, `visit`, `event_count`, `has_view`, `has_cart`, `has_purchase`, `path` (types of
        events in order, repetitions once: `view > cart > purchase`; at most 8 steps, then `...`), `minutes_to_cart`,
        `minutes_to_purchase` (from the visit's first event; null without one).
    """
    kept = F.when(F.col("step") <= LONGEST_PATH, F.struct("step", "event_type"))
    first = F.min("event_timestamp")
    summed = (
        with_visit(events)
        .groupBy("user_id", "user_session", "visit")
        .agg(
            F.count("*").alias("event_count"),
            *(F.bool_or(is_type(name)).alias(f"has_{name}") for name in ("view", "cart", "purchase")),
            F.sort_array(F.collect_list(kept)).alias("steps"),
            F.max("step").alias("last_step"),
            *(_minutes(first, name).alias(f"minutes_to_{name}") for name in ("cart", "purchase")),
        )
    )
    path = F.array_join(F.col("steps.event_type"), _PATH_SEPARATOR)
    cut = F.when(F.col("last_step") > LONGEST_PATH, F.lit(_PATH_SEPARATOR + _PATH_CUT)).otherwise("")
    return summed.withColumn("path", F.concat(path, cut)).drop("steps", "last_step")


def _minutes(first: Column, event_type: str) -> Column:
    reached = F.min(F.when(is_type(event_type), F.col("event_timestamp")))
    return (F.unix_millis(reached) - F.unix_millis(first)) / F.lit(60_000)


def funnel_documents(visits: DataFrame, as_of: datetime) -> DataFrame:
    """Make the document `session_funnel`: how many visits get how far; rates in percent as in `conversion_funnel`."""
    total = F.count("*")
    reached = {name: F.count_if(f"has_{name}") for name in ("view", "cart", "purchase")}
    row = visits.agg(
        total.alias("total_sessions"),
        *(column.alias(f"sessions_with_{name}") for name, column in reached.items()),
        _percent(reached["cart"], reached["view"]).alias("view_to_cart_rate"),
        _percent(reached["purchase"], reached["cart"]).alias("cart_to_purchase_rate"),
        _percent(reached["purchase"], total).alias("overall_conversion_rate"),
    )
    return _document(row, "session_funnel", as_of)


def drop_off_documents(visits: DataFrame, as_of: datetime) -> DataFrame:
    """Make the document `drop_off`: where visits end, in percent of those that got there.

    `bounce_rate`: a single event. `view_drop_off_rate`: a view, but neither cart nor purchase. `cart_drop_off_rate`: a
    cart, but no purchase.
    """
    went_on = F.col("has_cart") | F.col("has_purchase")
    row = visits.agg(
        F.count("*").alias("total_sessions"),
        _percent(F.count_if(F.col("event_count") == 1), F.count("*")).alias("bounce_rate"),
        _percent(F.count_if(F.col("has_view") & ~went_on), F.count_if("has_view")).alias("view_drop_off_rate"),
        _percent(F.count_if(F.col("has_cart") & ~F.col("has_purchase")), F.count_if("has_cart")).alias(
            "cart_drop_off_rate"
        ),
    )
    return _document(row, "drop_off", as_of)


def duration_documents(visits: DataFrame, as_of: datetime) -> DataFrame:
    """Make the documents `time_to_cart` and `time_to_purchase`: minutes from a visit's first event, of those with one.

    Fields: `sessions`, `median_minutes`, `p90_minutes`.
    """
    goals = F.explode(F.create_map(*(part for name in ("cart", "purchase") for part in _named_minutes(name))))
    long = visits.select(goals.alias("metric", "minutes"))
    row = long.groupBy("metric").agg(
        F.count("minutes").alias("sessions"),
        F.percentile("minutes", 0.5).alias("median_minutes"),
        F.percentile("minutes", 0.9).alias("p90_minutes"),
    )
    return row.select(*_header(F.col("metric"), as_of), "sessions", "median_minutes", "p90_minutes")


def path_documents(visits: DataFrame, as_of: datetime) -> DataFrame:
    """Make the document `top_paths`: the 20 most common paths.

    `paths`: by falling number, then by path: `path`, `sessions`, `share` (percent of all visits).
    """
    counted = visits.groupBy("path").agg(F.count("*").alias("sessions"))
    ranked = counted.select(
        F.row_number().over(Window.orderBy(F.col("sessions").desc(), "path")).alias("rank"),
        "path",
        "sessions",
        _percent(F.col("sessions"), F.sum("sessions").over(Window.partitionBy())).alias("share"),
    )
    kept = ranked.where(F.col("rank") <= TOP_PATHS)
    row = kept.agg(F.sort_array(F.collect_list(F.struct("rank", "path", "sessions", "share"))).alias("paths"))
    return _document(row, "top_paths", as_of)


def _percent(numerator: Column, denominator: Column) -> Column:
    return ratio(numerator, denominator) * 100


def _named_minutes(name: str) -> tuple[Column, Column]:
    return F.lit(f"time_to_{name}"), F.col(f"minutes_to_{name}")


def _document(row: DataFrame, metric: str, as_of: datetime) -> DataFrame:
    return row.select(*_header(F.lit(metric), as_of), *row.columns)


def _header(metric: Column, as_of: datetime) -> list[Column]:
    return [document_id(iso(as_of), metric).alias("_id"), F.lit(as_of).alias("as_of"), metric.alias("metric")]
