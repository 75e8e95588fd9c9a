from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from shopstream.operators import streaming
from shopstream.operators.streaming import StreamingLifecycleOperator
from shopstream.streaming.decision import Action
from shopstream.streaming.errors import StreamError

# Action, by hand, run, accept data loss.
Call = tuple[Action, bool, str, bool]


class StoreStandIn:
    """Stands in for the connection to MongoDB, which these tests never use."""

    def __init__(self, _config: Any) -> None:
        pass

    def __enter__(self) -> "StoreStandIn":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


def context(run_type: str) -> Any:
    return {"dag_run": SimpleNamespace(run_type=run_type, run_id=f"{run_type}__1")}


@pytest.fixture
def calls(environment: pytest.MonkeyPatch) -> list[Call]:
    made: list[Call] = []

    class LifecycleStandIn:
        def __init__(self, *_: Any) -> None:
            pass

        def run(self, action: Action, *, by_hand: bool, run_id: str, accept_data_loss: bool) -> dict[str, Any]:
            made.append((action, by_hand, run_id, accept_data_loss))
            if action is Action.RESTART:
                raise StreamError("the driver ended while starting")
            return {"healthy": True}

    environment.setattr("shopstream.streaming.store.HealthStore", StoreStandIn)
    environment.setattr(streaming, "Lifecycle", LifecycleStandIn)
    return made


@pytest.mark.parametrize(
    ("run_type", "by_hand"), [("scheduled", False), ("manual", True), ("asset_triggered", False), ("backfill", False)]
)
def test_only_a_manual_run_is_by_hand(calls: list[Call], run_type: str, by_hand: bool) -> None:
    assert StreamingLifecycleOperator(task_id="t").execute(context(run_type)) == {"healthy": True}
    assert calls == [(Action.ENSURE, by_hand, f"{run_type}__1", False)]


@pytest.mark.parametrize(("rendered", "accepted"), [("True", True), ("False", False)])
def test_data_loss_is_accepted_only_where_the_form_says_so(calls: list[Call], rendered: str, accepted: bool) -> None:
    StreamingLifecycleOperator(task_id="t", accept_data_loss=rendered).execute(context("manual"))
    assert calls == [(Action.ENSURE, True, "manual__1", accepted)]


def test_a_failure_may_be_retried(calls: list[Call]) -> None:
    with pytest.raises(AirflowException, match="ended while starting") as caught:
        StreamingLifecycleOperator(task_id="t", action="restart").execute(context("manual"))
    assert type(caught.value) is AirflowException


@pytest.mark.usefixtures("calls")
def test_an_unknown_action_is_not_retried() -> None:
    with pytest.raises(AirflowFailException, match="'explode'"):
        StreamingLifecycleOperator(task_id="t", action="explode").execute(context("manual"))


def test_a_bad_environment_is_not_retried(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MONGODB_URI", "")
    with pytest.raises(AirflowFailException, match="MONGODB_URI"):
        StreamingLifecycleOperator(task_id="t").execute(context("scheduled"))


def test_no_mongodb_is_a_short_message_without_credentials(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MONGODB_URI", "mongodb://shop:s3cret@127.0.0.1:1/shopstream")
    environment.setattr("shopstream.mongo.WAIT_MILLISECONDS", 200)
    with pytest.raises(AirflowException, match=r"^MongoDB at MONGODB_URI: 127\.0\.0\.1:1: .*refused") as caught:
        StreamingLifecycleOperator(task_id="t").execute(context("scheduled"))
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
