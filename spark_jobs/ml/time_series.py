"""Daily figures per event type with moving averages and growth: `time_series_analysis`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import EVENT_TYPES, document_id, ratio

DAYS = 30
_LONGEST_AVERAGE = 7


def known_days(as_of: datetime, first_event: datetime) -> tuple[date, date, date]:
    """Decide which days to look at.

    Args:
        as_of: The run, UTC. Only complete days before it count: the day it lies in would look like a slump.
        first_event: Beginning of the known history.

    Returns:
        The first day of which events are known, the first day to report and the last one. There are up to 30 days to
        report, and before those up to 6 that only their moving averages look at.

    Raises:
        JobSkipped: No complete day is known.
    """
    last = as_of.date() - timedelta(days=1)
    report = max(last - timedelta(days=DAYS - 1), first_event.date())
    if report > last:
        raise JobSkipped(f"no complete day before {iso(as_of)}: the first known event happened at {iso(first_event)}")
    return max(report - timedelta(days=_LONGEST_AVERAGE - 1), first_event.date()), report, last


def daily_figures(events: DataFrame, first: date, last: date) -> DataFrame:
    """Count each day and event type; a day without events has zeros.

    Args:
        events: `event_timestamp`, `event_type`, `price` (decimal), `user_id`, `user_session`.
        first: First day, UTC.
        last: Last day, inclusive.

    Returns:
        `date`, `event_type`, `event_count`, `unique_users`, `unique_sessions`, `revenue` (sum of `price`, as everywhere
        on the platform: turnover for purchases, value of the goods for the others), a row per day and event type.
    """
    counted = (
        events.withColumn("date", F.to_date("event_timestamp"))
        .where(F.col("date").between(F.lit(first), F.lit(last)))
        .groupBy("date", "event_type")
        .agg(
            F.count("*").alias("event_count"),
            F.count_distinct("user_id").alias("unique_users"),
            F.count_distinct("user_session").alias("unique_sessions"),
            F.sum("price").cast("double").alias("revenue"),
        )
    )
    day = F.explode(F.sequence(F.lit(first), F.lit(last))).alias("date")
    types = F.array(*(F.lit(name) for name in EVENT_TYPES))
    calendar = events.sparkSession.range(1).select(day).select("date", F.explode(types).alias("event_type"))
    return calendar.join(counted, ["date", "event_type"], how="left").na.fill(0)


def with_averages(daily: DataFrame) -> DataFrame:
    """Add averages over the days up to and including each one, and its growth over the day before.

    Args:
        daily: As from `daily_figures`, without gaps.

    Returns:
        The same with `ma_3day_events`, `ma_7day_events`, `ma_7day_users` (over fewer days at the beginning) and
        `day_over_day_growth` (percent; null on the first day and after a day without events).
    """
    by_type = Window.partitionBy("event_type").orderBy("date")

    def last_days(days: int) -> WindowSpec:
        return by_type.rowsBetween(1 - days, Window.currentRow)

    before = F.lag("event_count").over(by_type)
    return daily.select(
        *daily.columns,
        F.avg("event_count").over(last_days(3)).alias("ma_3day_events"),
        F.avg("event_count").over(last_days(_LONGEST_AVERAGE)).alias("ma_7day_events"),
        F.avg("unique_users").over(last_days(_LONGEST_AVERAGE)).alias("ma_7day_users"),
        (ratio(F.col("event_count") - before, before) * 100).alias("day_over_day_growth"),
    )


def time_series_documents(events: DataFrame, as_of: datetime, first_event: datetime) -> DataFrame:
    """Shape the documents of `time_series_analysis`: `_id`, `as_of`, `date` (midnight UTC) and the figures.

    Raises:
        JobSkipped: No complete day is known.
    """
    first, report, last = known_days(as_of.astimezone(UTC), first_event.astimezone(UTC))
    series = with_averages(daily_figures(events, first, last)).where(F.col("date") >= F.lit(report))
    figures = [column for column in series.columns if column not in ("date", "event_type")]
    return series.select(
        document_id(iso(as_of), F.date_format("date", "yyyy-MM-dd"), "event_type").alias("_id"),
        F.lit(as_of).alias("as_of"),
        F.col("date").cast("timestamp").alias("date"),
        "event_type",
        *figures,
    )
