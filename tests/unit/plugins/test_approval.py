from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from shopstream.operators.approval import PromotionApproval

REFUSED = {"as_of": "2019-11-01T00:00:00Z", "promoted": False, "refused": True, "reason": "clearly worse: 0.6"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What people have been asked."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: questions.append(question))
    return questions


def approval() -> PromotionApproval:
    return PromotionApproval(
        task_id="approve",
        gate="promote",
        subject="Promote it?",
        defaults=PromotionApproval.REJECT,
        response_timeout=timedelta(hours=4),
    )


def context(verdict: Any, run_type: str = "scheduled") -> Any:
    pulled = {"promote": verdict}
    ti = SimpleNamespace(id="some-id", xcom_pull=lambda task_ids: pulled[task_ids])
    return {"ti": ti, "task_instance": ti, "dag_run": SimpleNamespace(run_type=run_type)}


def test_a_refused_run_waits_for_an_answer_that_is_no_by_default(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(TaskAwaitingInput) as waiting:
        approval().execute(context(REFUSED))
    assert waiting.value.timeout == timedelta(hours=4)
    (question,) = asked
    assert question["options"] == ["Approve", "Reject"]
    assert question["defaults"] == ["Reject"]
    assert "clearly worse: 0.6" in question["body"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (REFUSED | {"promoted": True, "refused": False, "reason": "better"}, "nothing to approve: better"),
        (REFUSED | {"refused": False, "reason": "older than"}, "nothing to approve: older than"),
        (None, "there is no verdict"),
    ],
)
def test_nobody_is_asked_about_what_was_not_refused(asked: list[dict[str, Any]], verdict: Any, words: str) -> None:
    with pytest.raises(AirflowSkipException, match=words):
        approval().execute(context(verdict))
    assert asked == []


def test_a_backfill_waits_for_nobody(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(AirflowSkipException, match="as_of=2019-11-01T00:00:00Z to be asked"):
        approval().execute(context(REFUSED, "backfill"))
    assert asked == []
