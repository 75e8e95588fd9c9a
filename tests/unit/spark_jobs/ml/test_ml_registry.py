from datetime import UTC, datetime
from typing import Any

import pytest

from spark_jobs.ml.registry import AUC_TOLERANCE, code_version, judge

OLD, NEW = datetime(2019, 11, 1, tzinfo=UTC), datetime(2019, 11, 1, 6, tzinfo=UTC)


def runs(auc: float = 0.8) -> dict[str, Any]:
    return {"segments": {"metrics": {}}, "churn": {"metrics": {"auc": auc}}}


def latest(as_of: datetime, auc: float = 0.8) -> dict[str, Any]:
    return {"_id": "latest", "as_of": as_of, "churn_auc": auc}


def test_the_first_complete_run_is_promoted() -> None:
    assert judge(OLD, runs(), None) == (True, "first promoted run, churn AUC 0.800")


@pytest.mark.parametrize(
    ("present", "missing"),
    [([], "no segments and no churn run"), (["segments"], "no churn run"), (["churn"], "no segm")],
)
def test_an_incomplete_run_is_not(present: list[str], missing: str) -> None:
    promoted, reason = judge(OLD, {model: runs()[model] for model in present}, None)
    assert not promoted
    assert missing in reason


def test_a_better_or_slightly_worse_run_follows() -> None:
    assert judge(NEW, runs(0.9), latest(OLD))[0]
    assert judge(NEW, runs(0.8 - 0.9 * AUC_TOLERANCE), latest(OLD))[0]


def test_a_clearly_worse_run_is_not_promoted_and_says_so() -> None:
    promoted, reason = judge(NEW, runs(0.8 - 1.1 * AUC_TOLERANCE), latest(OLD))
    assert not promoted
    assert reason.startswith("clearly worse: churn AUC 0.745, the promoted run of 2019-11-01T00:00:00Z has 0.800")


def test_a_backfill_never_moves_latest_backwards() -> None:
    promoted, reason = judge(OLD, runs(0.99), latest(NEW))
    assert (promoted, reason) == (False, "older than the promoted run of 2019-11-01T06:00:00Z")


def test_promoting_twice_changes_nothing() -> None:
    assert judge(OLD, runs(0.7), latest(OLD))[0]


def test_code_version_is_stable() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 16
