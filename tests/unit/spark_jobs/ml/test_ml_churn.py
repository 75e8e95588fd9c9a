import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.errors import JobSkipped
from spark_jobs.jobs.churn import compute
from spark_jobs.ml.churn import predictions, recency_rule, train
from spark_jobs.ml.churn_data import INPUTS, churn_inputs, labelled
from spark_jobs.ml.evaluation import RiskThresholds
from spark_jobs.ml.features import user_features
from spark_jobs.ml.publish import write_parquet
from spark_jobs.ml.rival import rival_auc
from spark_jobs.ml.run import HELD_OUT, TrainingRun

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]


def rows(frame: DataFrame) -> dict[int, dict[str, Any]]:
    return {row["user_id"]: row.asDict() for row in frame.collect()}


def test_label_is_whether_a_user_came_back_within_the_week(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    events = [
        event(8, user_id=1),
        event(8, user_id=2),
        event(7, user_id=2),
        event(30, user_id=3),
        event(0.001, user_id=3),
        event(8, user_id=4),
        event(0, user_id=4),
        event(3, user_id=5),
        event(38, user_id=6),
    ]
    data = rows(labelled(frame(events), as_of, as_of - timedelta(days=37)))
    # 5 was not known before the cutoff, 6 is older than 30 days; 4 came back after the week.
    assert {user: row["churned"] for user, row in data.items()} == {1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0}


def test_the_week_tells_the_label_and_nothing_else(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    past = [event(7.1 + number % 20, user_id=number % 9) for number in range(60)]
    week = [event(number / 2, "purchase", price=500.0, user_id=number % 5) for number in range(1, 14)]
    first = as_of - timedelta(days=37)
    without, with_week = (rows(labelled(frame(events), as_of, first)) for events in (past, past + week))
    for user, row in without.items():
        assert {name: row[name] for name in (*INPUTS, "held_out")} == {
            name: with_week[user][name] for name in (*INPUTS, "held_out")
        }
    assert sum(row["churned"] for row in without.values()) == 9
    assert sum(row["churned"] for row in with_week.values()) == 4


def test_inputs_are_rates_of_the_known_days_and_never_undefined(
    event: MakeEvent, frame: MakeFrame, as_of: datetime
) -> None:
    events = frame(
        [event(9), event(5), event(5, "cart"), event(1, user_id=8), event(20.0, user_id=9), event(10.0, user_id=9)]
    )
    inputs = rows(churn_inputs(user_features(events, as_of), as_of, as_of - timedelta(days=20)))
    assert inputs[7]["total_events_per_day"] == pytest.approx(3 / 20)
    # Two active days, 4 days apart, silent for 5; two of three events in the last 7 of the 9 days known.
    assert inputs[7]["relative_recency"] == pytest.approx(5 / 4)
    assert inputs[7]["recent_activity"] == pytest.approx(2 / 3 * 9 / 7)
    assert inputs[8]["relative_recency"] == -1.0
    assert inputs[9]["recent_activity"] == 0.0
    assert all(value is not None for row in inputs.values() for value in row.values())


def shop(event: MakeEvent, users: int) -> list[dict[str, Any]]:
    """Users who come every day, half of whom stop 1 to 4 days before the cutoff, and others of every fourth day."""
    dice = random.Random(3)
    events = []
    for user in range(users):
        step = 1 + 3 * (user % 2)
        gone = dice.uniform(8.0, 11.0) if step == 1 and dice.random() < 0.5 else 0.0
        days = np.arange(30.0 - dice.random(), gone, -step)
        events += [event(float(day), user_id=user, user_session=f"{user}-{day}") for day in days]
    return events


def test_model_is_measured_on_held_out_users_and_beats_recency(
    event: MakeEvent, frame: MakeFrame, as_of: datetime
) -> None:
    events, first = frame(shop(event, 240)).cache(), as_of - timedelta(days=30)
    model = train(labelled(events, as_of, first).cache())
    metrics = model.metrics
    assert metrics["users_trained_on"] + metrics["users_held_out"] == 240
    assert metrics["auc"] > metrics["baseline"]["auc"] > 0.5
    assert metrics["brier"] < metrics["baseline"]["brier"] < 0.25
    assert metrics["boosting"]["auc"] > metrics["baseline"]["auc"]
    assert sum(row["users"] for row in metrics["boosting"]["calibration"]) == metrics["users_held_out"]
    assert {name: sum(part.values()) for name, part in metrics["class_balance"].items()} == {
        "trained_on": metrics["users_trained_on"],
        "held_out": metrics["users_held_out"],
    }
    assert sum(row["users"] for row in metrics["calibration"]) == metrics["users_held_out"]
    assert sum(row["importance"] for row in metrics["feature_importances"]) == pytest.approx(1.0)
    inputs = churn_inputs(user_features(events, as_of), as_of, first)
    scored = rows(predictions(model, inputs, as_of))
    for user, row in scored.items():
        assert row["_id"] == f"2019-11-01T00:00:00Z|{user}"
        assert row["churn_prediction"] == int(row["churn_probability"] > 0.5)
        assert row["risk_level"] == level(row["churn_probability"], model.thresholds)
    assert len({row["risk_level"] for row in scored.values()}) > 1
    again = rows(predictions(train(labelled(events, as_of, first)), inputs, as_of))
    assert again == scored


def level(probability: float, thresholds: RiskThresholds) -> str:
    if probability < thresholds.medium:
        return "Low"
    return "High" if thresholds.high is not None and probability >= thresholds.high else "Medium"


def test_too_few_users_are_skipped_with_figures(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    data = labelled(frame(event(8, user_id=user) for user in range(59)), as_of, as_of - timedelta(days=20))
    with pytest.raises(JobSkipped, match="churn needs at least 60 users in the 30 days before the last week, found 59"):
        train(data)


def test_a_week_whose_events_are_missing_is_skipped(as_of: datetime) -> None:
    first, last = as_of - timedelta(days=37), as_of - timedelta(days=2, minutes=1)
    run: Any = SimpleNamespace(as_of=as_of, history=as_of - first, snapshot=SimpleNamespace(last_event=last))
    with pytest.raises(JobSkipped, match=r"the latest known event happened 2\.0 days before 2019-11-01T00:00:00Z"):
        compute(run)


def test_no_users_at_all_are_skipped(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    with pytest.raises(JobSkipped, match="found 0"):
        train(labelled(frame([event(1)]), as_of, as_of - timedelta(days=20)))


def test_a_single_class_is_skipped_with_figures(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    data = labelled(frame(event(8, user_id=user) for user in range(80)), as_of, as_of - timedelta(days=20))
    with pytest.raises(JobSkipped, match="of 80 users 0 returned in the last week"):
        train(data)


def test_users_who_all_did_the_same_are_all_at_medium_risk(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    """Constant inputs and no prices: nothing tells who comes back."""
    events = [event(10, user_id=user, price=float("nan")) for user in range(120)]
    events += [event(2, user_id=user) for user in range(0, 120, 2)]
    model = train(labelled(frame(events), as_of, as_of - timedelta(days=20)))
    assert model.metrics["auc"] == model.metrics["boosting"]["auc"] == model.metrics["baseline"]["auc"] == 0.5
    assert {row["importance"] for row in model.metrics["feature_importances"]} == {0.0}
    assert model.thresholds.medium == 0.0
    assert model.thresholds.high is None
    assert len(model.metrics["calibration"]) == 1


def test_a_promoted_model_can_be_measured_on_the_held_out_users_of_another_run(
    spark: SparkSession, event: MakeEvent, frame: MakeFrame, as_of: datetime, tmp_path: Path
) -> None:
    data = labelled(frame(shop(event, 240)), as_of, as_of - timedelta(days=30)).cache()
    model, held_out = train(data), data.where("held_out")
    config: Any = SimpleNamespace(data_dir=tmp_path, models_uri="")
    run = TrainingRun("promote", as_of, config)
    run.__dict__["spark"] = spark
    promoted: dict[str, Any] = {"as_of": as_of, "artefact_path": "models/churn/x"}
    assert rival_auc(run, promoted, config) is None
    write_parquet(held_out, run.artefact(HELD_OUT), order="user_id")
    assert rival_auc(run, promoted, config) is None
    model.pipeline.save(str(tmp_path / promoted["artefact_path"]))
    assert rival_auc(run, promoted, config) == pytest.approx(model.metrics["auc"])
    assert rival_auc(run, None, config) is None
    write_parquet(held_out.drop("recency_days"), run.artefact(HELD_OUT), order="user_id")
    assert rival_auc(run, promoted, config) is None


def test_recency_rule_uses_the_rates_of_other_users() -> None:
    figures = recency_rule(
        (np.array([1.0, 5.0]), np.array([0.0, 1.0])), np.array([0.0, 1.0, 1.0]), np.array([0.5, 5.0, 9.0])
    )
    assert figures == {"auc": 1.0, "pr_auc": 1.0, "brier": 0.0}
