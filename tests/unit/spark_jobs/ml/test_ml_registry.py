from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from spark_jobs.ml import registry
from spark_jobs.ml.registry import AUC_TOLERANCE, Verdict, code_version, judge, promote

OLD, NEW = datetime(2019, 11, 1, tzinfo=UTC), datetime(2019, 11, 1, 6, tzinfo=UTC)


def runs(auc: float = 0.8) -> dict[str, Any]:
    return {"segments": {"metrics": {}}, "churn": {"metrics": {"auc": auc}}}


def latest(as_of: datetime, auc: float = 0.8) -> dict[str, Any]:
    return {"_id": "latest", "as_of": as_of, "churn_auc": auc}


def test_the_first_complete_run_is_promoted() -> None:
    assert judge(OLD, runs(), None) == Verdict(True, "first promoted run, churn AUC 0.800")


@pytest.mark.parametrize(
    ("present", "missing"),
    [([], "no segments and no churn run"), (["segments"], "no churn run"), (["churn"], "no segm")],
)
def test_an_incomplete_run_is_not(present: list[str], missing: str) -> None:
    verdict = judge(OLD, {model: runs()[model] for model in present}, None)
    assert not verdict.promoted
    assert not verdict.refused
    assert missing in verdict.reason


def test_a_better_or_slightly_worse_run_follows() -> None:
    assert judge(NEW, runs(0.9), latest(OLD)).promoted
    assert judge(NEW, runs(0.8 - 0.9 * AUC_TOLERANCE), latest(OLD)).promoted


def test_a_clearly_worse_run_is_not_promoted_and_says_so() -> None:
    verdict = judge(NEW, runs(0.8 - 1.1 * AUC_TOLERANCE), latest(OLD))
    assert (verdict.promoted, verdict.refused) == (False, True)
    assert verdict.reason.startswith(
        "clearly worse: churn AUC 0.745, the promoted run of 2019-11-01T00:00:00Z has 0.800"
    )


def test_the_same_users_judge_both_models_where_they_can() -> None:
    """An easy week had flattered the promoted model; on this run's users it is no better."""
    assert judge(NEW, runs(0.7), latest(OLD, 0.9), rival_auc=0.72).promoted
    verdict = judge(NEW, runs(0.8), latest(OLD, 0.7), rival_auc=0.9)
    assert (verdict.promoted, verdict.refused) == (False, True)
    assert "has 0.900 on the same users" in verdict.reason


def test_a_backfill_never_moves_latest_backwards() -> None:
    verdict = judge(OLD, runs(0.99), latest(NEW))
    assert verdict == Verdict(False, "older than the promoted run of 2019-11-01T06:00:00Z")


def test_what_is_read_already_stays_and_says_what_has_become_of_it() -> None:
    verdict = judge(OLD, runs(0.7), latest(OLD))
    assert verdict == Verdict(True, "trained again: churn AUC 0.700, was 0.800 when last promoted")


def test_models_of_different_events_are_not_promoted() -> None:
    """Two runs of one moment at a time, or one in which churn was skipped after an earlier one."""
    mixed = runs()
    for model, fingerprint in (("segments", "one"), ("churn", "another")):
        mixed[model]["data_fingerprint"] = fingerprint
    assert judge(OLD, mixed, None) == Verdict(
        False, "segments and churn have seen different events: train 2019-11-01T00:00:00Z again"
    )


def test_a_dropped_moment_is_not_promoted() -> None:
    dropped = runs()
    dropped["segments"]["dropped_at"] = NEW
    assert judge(OLD, dropped, None) == Verdict(False, "no segments run as of 2019-11-01T00:00:00Z")


class FakeRuns(dict[str, dict[str, Any]]):
    """The operations of a collection that a promotion needs."""

    def find(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        return [self[key] for key in query["_id"]["$in"] if key in self]

    def find_one(self, query: dict[str, Any]) -> dict[str, Any] | None:
        return self.get(query["_id"])

    def update_one(self, query: dict[str, Any], change: dict[str, Any], **_upsert: bool) -> None:
        found = self.get(query["_id"])
        if found and found["as_of"] > query["as_of"]["$lte"]:
            raise DuplicateKeyError("latest")
        self[query["_id"]] = (found or {"_id": query["_id"]}) | change["$set"]

    def update_many(self, query: dict[str, Any], change: dict[str, Any]) -> None:
        for key in query["_id"]["$in"]:
            if key in self:
                self[key] |= change["$set"]


def stored(as_of: datetime, auc: float) -> FakeRuns:
    prefix = as_of.strftime("%Y-%m-%dT%H:%M:%SZ")
    return FakeRuns(
        {f"{prefix}|{model}": {"_id": f"{prefix}|{model}", "model": model, **run} for model, run in runs(auc).items()}
    )


def test_a_refused_run_is_promoted_by_a_person_only() -> None:
    found = stored(NEW, 0.6)
    found["latest"] = latest(OLD, 0.8)
    db: Any = {"model_runs": found}
    assert promote(db, NEW, 0.8).refused
    assert found["latest"] == latest(OLD, 0.8)
    assert found["2019-11-01T06:00:00Z|churn"]["promoted"] is False
    verdict = promote(db, NEW, 0.8, by="ada")
    assert verdict.promoted
    assert verdict.reason.startswith("promoted by ada, though clearly worse")
    assert (found["latest"]["as_of"], found["latest"]["churn_auc"]) == (NEW, 0.6)
    assert found["2019-11-01T06:00:00Z|segments"]["promotion"] == verdict.reason


def test_not_even_a_person_moves_latest_backwards_or_to_nothing() -> None:
    found = stored(OLD, 0.9)
    found["latest"] = latest(NEW)
    assert not promote({"model_runs": found}, OLD, by="ada").promoted  # type: ignore[arg-type]
    assert not promote({"model_runs": FakeRuns()}, OLD, by="ada").promoted  # type: ignore[arg-type]


def test_of_two_promotions_at_once_the_newer_one_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(OLD, 0.9)
    monkeypatch.setattr(registry, "latest", lambda _db: None)
    found["latest"] = latest(NEW)
    verdict = promote({"model_runs": found}, OLD)  # type: ignore[arg-type]
    assert verdict == Verdict(False, "a newer run was promoted at the same time")
    assert found["latest"] == latest(NEW)


def test_code_version_is_stable() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 16
