"""The models on a generated shop, whose generator knows which users are of which type and who has left."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from benchmarks.agreement import adjusted_rand_index
from benchmarks.training import documents
from data.generate_events import generate
from data.shopgen.settings import Settings
from spark_jobs.ml.churn import train
from spark_jobs.ml.churn_data import labelled
from spark_jobs.ml.events import SCHEMA, between, clean_prices
from spark_jobs.ml.features import user_features, with_value_score
from spark_jobs.ml.recommendations import hit_rates
from spark_jobs.ml.segment_names import name_segments
from spark_jobs.ml.segments import cluster, segment_documents, segment_inputs
from spark_jobs.ml.touches import Touches

SHOP = Settings(users=2_500, days=37, events=50_000, seed=42)
START = datetime.combine(SHOP.start, datetime.min.time(), UTC)
END = START + timedelta(days=SHOP.days)


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, str]]:
    """The events file, and the true type of each user."""
    folder = tmp_path_factory.mktemp("shop")
    generate(SHOP, folder / "events.csv", folder / "truth.csv")
    lines = (folder / "truth.csv").read_text().splitlines()[1:]
    return folder / "events.csv", {int(user): name for user, name, _ in (line.split(",") for line in lines)}


@pytest.fixture(scope="module")
def events(spark: SparkSession, types: tuple[Path, dict[int, str]]) -> Iterator[DataFrame]:
    frame = clean_prices(spark.createDataFrame(list(documents(types[0])), SCHEMA)).cache()
    yield frame
    frame.unpersist()


def test_segments_recover_the_types_of_users_far_beyond_chance(
    events: DataFrame, types: tuple[Path, dict[int, str]], record_property: Callable[[str, object], None]
) -> None:
    inputs = segment_inputs(with_value_score(user_features(events, END))).cache()
    clustering = cluster(inputs)
    assert set(clustering.silhouettes) == set(range(2, 9))
    assert len(clustering.centres) == max(clustering.silhouettes, key=lambda k: clustering.silhouettes[k])
    names = name_segments(clustering.centres)
    assert len(set(names)) == len(names)
    found = segment_documents(clustering, inputs, names, END).collect()
    index = adjusted_rand_index([row["segment_name"] for row in found], [types[1][row["user_id"]] for row in found])
    record_property("adjusted_rand_index", index)
    print(f"{len(names)} segments, adjusted Rand index {index:.3f}")
    assert index > 0.1


def test_churn_is_predicted_better_than_by_recency(events: DataFrame) -> None:
    metrics = train(labelled(events, END, START).cache()).metrics
    print({name: metrics[name] for name in ("auc", "pr_auc", "brier", "baseline")}, metrics["boosting"]["auc"])
    assert metrics["users_held_out"] > 200
    assert metrics["auc"] > metrics["baseline"]["auc"]
    assert metrics["pr_auc"] > metrics["baseline"]["pr_auc"]
    assert metrics["brier"] < metrics["baseline"]["brier"]


def test_recommendations_are_better_than_what_is_popular(events: DataFrame) -> None:
    cutoff = END - timedelta(days=1)
    before = between(events, cutoff - timedelta(days=30), cutoff)
    after = between(events, cutoff, END)
    rates = hit_rates(Touches.collect(before), Touches.collect(after))
    print(rates)
    assert (rates["users_evaluated"] or 0) > 50
    assert (rates["hit_rate_at_10"] or 0) > (rates["popularity_hit_rate_at_10"] or 0)
