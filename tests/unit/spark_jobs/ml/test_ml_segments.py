import itertools
from datetime import datetime

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.segment_names import RULES, name_segments
from spark_jobs.ml.segments import PROFILE, cluster, segment_documents, segment_inputs, segment_profiles


def features(spark: SparkSession, groups: dict[tuple[float, float, int, float], int]) -> DataFrame:
    """Users in tight groups of (recency, tenure, sessions, spend), a number of each."""
    dice = np.random.default_rng(5)
    rows: list[tuple[float, ...]] = []
    for (recency, tenure, sessions, spend), users in groups.items():
        for _ in range(users):
            profile = {
                "recency_days": recency * float(dice.uniform(0.9, 1.1)),
                "tenure_days": tenure * float(dice.uniform(0.9, 1.0)),
                "session_count": sessions,
                "events_per_session": 2.0,
                "cart_count": 1,
                "purchase_count": 1,
                "total_spend": spend * float(dice.uniform(0.9, 1.1)),
                "value_score": spend,
            }
            rows.append((len(rows), *(profile[name] for name in PROFILE)))
    columns = ", ".join(f"{name} {'long' if name.endswith('count') else 'double'}" for name in PROFILE)
    return spark.createDataFrame(rows, f"user_id long, {columns}")


GROUPS = {(1.0, 28.0, 20, 900.0): 20, (25.0, 29.0, 2, 5.0): 30, (1.0, 3.0, 2, 5.0): 25}


def test_groups_are_found_named_and_described(spark: SparkSession, as_of: datetime) -> None:
    inputs = segment_inputs(features(spark, GROUPS)).cache()
    clustering = cluster(inputs)
    assert set(clustering.silhouettes) == set(range(2, 9))
    assert clustering.silhouettes[3] == max(clustering.silhouettes.values()) > 0.9
    documents = segment_documents(clustering, inputs, name_segments(clustering.centres), as_of)
    named = {row["user_id"]: row["segment_name"] for row in documents.collect()}
    assert [named[user] for user in range(75)] == ["Champions"] * 20 + ["Hibernating"] * 30 + ["New"] * 25
    profiles = segment_profiles(documents)
    assert (profiles[0]["segment_name"], profiles[0]["users"]) == ("Champions", 20)
    assert profiles[0]["share"] == pytest.approx(20 / 75)
    assert profiles[0]["session_count"] == 20
    again = cluster(segment_inputs(features(spark, GROUPS).orderBy("value_score")), [3])
    assert again.silhouettes[3] == clustering.silhouettes[3]
    assert again.centres == clustering.centres


def test_too_few_users_are_skipped(spark: SparkSession) -> None:
    with pytest.raises(JobSkipped, match="segments need at least 20 users in the 30 days, found 19"):
        cluster(segment_inputs(features(spark, {(1.0, 2.0, 3, 4.0): 19})))


def test_users_that_are_all_the_same_are_skipped(spark: SparkSession) -> None:
    same = features(spark, {(0.0, 0.0, 3, 0.0): 21})
    with pytest.raises(JobSkipped, match="all 21 users behave the same"):
        cluster(segment_inputs(same), [2, 3])


def test_two_kinds_of_users_are_two_segments(spark: SparkSession) -> None:
    clustering = cluster(segment_inputs(features(spark, {(0.0, 0.0, 1, 0.0): 20, (0.0, 0.0, 9, 0.0): 1})), [2, 3])
    assert len(clustering.centres) == 2


def profile(recency: float, tenure: float, frequency: float, monetary: float) -> dict[str, float]:
    return {"recency": recency, "tenure": tenure, "frequency": frequency, "monetary": monetary}


@pytest.mark.parametrize(
    ("name", "centre"),
    [
        ("Champions", profile(-0.7, 0.5, 1.3, 1.7)),
        ("Loyal", profile(-0.5, 0.5, 0.4, 0.4)),
        ("Potential Loyalists", profile(-0.5, 0.2, -0.4, 0.6)),
        ("Window Shoppers", profile(-0.4, 0.5, 0.5, -0.7)),
        ("New", profile(-0.6, -1.2, -0.8, -0.5)),
        ("At Risk", profile(1.0, 0.4, -0.3, 0.3)),
        ("Hibernating", profile(1.6, 0.4, -0.9, -0.8)),
        ("Casual", profile(0.1, 0.0, -0.2, -0.2)),
    ],
)
def test_each_rule_names_its_profile(name: str, centre: dict[str, float]) -> None:
    assert name_segments([centre]) == [name]
    assert name in dict(RULES)


def test_names_are_unique_and_say_the_difference() -> None:
    best, other = profile(-0.7, 0.5, 1.3, 2.5), profile(-0.7, 0.5, 1.2, 0.9)
    assert name_segments([other, best]) == ["Champions (lower spend)", "Champions"]
    twins = [profile(-0.7, 0.5, 1.3, 1.7)] * 8
    assert len(set(name_segments(twins))) == 8


def test_names_do_not_depend_on_the_number_of_a_cluster() -> None:
    centres = [
        profile(-0.7, 0.5, 1.3, 2.5),
        profile(-0.6, 0.5, 1.2, 0.9),
        profile(1.5, 0.1, -1, -1),
        profile(0, 0, 0, 0),
    ]
    expected = dict(zip(map(str, centres), name_segments(centres), strict=True))
    for order in itertools.permutations(centres):
        assert dict(zip(map(str, order), name_segments(order), strict=True)) == expected
