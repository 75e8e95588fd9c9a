"""Which windows an event falls into, against the arithmetic of `spark_jobs.audit`."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.audit.events import HOUR, MINUTE, window_starts
from spark_jobs.streaming.cells import BRAND_10M, CATEGORY_1H, CATEGORY_5M, VISIT_PART, _groups
from spark_jobs.streaming.funnel import window_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Kind: length and slide of its windows, in milliseconds.
WINDOWS = {
    CATEGORY_5M: (5 * MINUTE, 5 * MINUTE),
    BRAND_10M: (10 * MINUTE, 5 * MINUTE),
    CATEGORY_1H: (HOUR, HOUR),
    VISIT_PART: (30 * MINUTE, 30 * MINUTE),
}
YEAR_1000, YEAR_9999 = -30_610_224_000_000, 253_370_764_800_000


def moments() -> list[int]:
    """Milliseconds since 1970: around every kind of edge, before and after 1970, and at random."""
    dice = random.Random(5)
    edges = [start + step * 5 * MINUTE for start in (-HOUR, 0, YEAR_1000, YEAR_9999) for step in range(26)]
    edges += [dice.randrange(0, YEAR_9999 // HOUR) * HOUR for _ in range(200)]
    around = [edge + shift for edge in edges for shift in (-1001, -1000, -999, -1, 0, 1, 999)]
    return sorted({*around, *(dice.randrange(YEAR_1000, YEAR_9999) for _ in range(1000))})


Groups = list[tuple[str, int, int]]


def groups_of(spark: SparkSession, at: list[int]) -> dict[int, Groups]:
    """The groups of an event at each of these moments: kind, start and end of the window."""
    frame = spark.createDataFrame([(moment,) for moment in at], "moment LONG").select(
        "moment",
        F.timestamp_millis("moment").alias("event_timestamp"),
        F.lit("toys").alias("category_name"),
        F.lit("acme").alias("brand"),
        F.lit("view").alias("event_type"),
        F.lit("s").alias("user_session"),
        F.lit(1).alias("user_id"),
    )
    cell = frame.select("moment", F.explode(_groups()).alias("cell")).select(
        "moment", "cell.kind", F.unix_millis("cell.window_start"), F.unix_millis("cell.window_end")
    )
    groups: dict[int, Groups] = {}
    for moment, kind, start, end in cell.collect():
        groups.setdefault(moment, []).append((kind, start, end))
    return groups


def assert_groups_of_the_contract(found: dict[int, Groups], at: list[int]) -> None:
    """Require that these moments have the windows that the contract gives them, and no others."""
    assert set(found) == set(at)
    for moment, groups in found.items():
        expected = [
            (kind, start, start + length)
            for kind, (length, slide) in WINDOWS.items()
            for start in window_starts(moment, length, slide)
        ]
        assert sorted(groups) == sorted(expected), EPOCH + timedelta(milliseconds=moment)


def test_every_event_is_in_the_windows_of_the_contract(spark: SparkSession) -> None:
    assert_groups_of_the_contract(groups_of(spark, moments()), moments())


def test_the_funnel_has_the_windows_of_the_contract() -> None:
    for moment in moments():
        (start,) = window_starts(moment, 15 * MINUTE, 15 * MINUTE)
        assert window_of(EPOCH + timedelta(milliseconds=moment)) == EPOCH + timedelta(milliseconds=start)
