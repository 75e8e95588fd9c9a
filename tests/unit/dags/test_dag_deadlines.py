"""The deadline of data_quality in Airflow's own machinery: from a queued run to the webhook."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbundle import DagBundleModel
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.triggers.callback import CallbackTrigger
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from webhook_receiver import receiving

from shopstream.quality import OVERDUE

BUNDLE = "deadline-test"


def test_a_run_that_is_not_done_in_time_reaches_the_webhook(dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    with create_session() as session:
        session.merge(DagBundleModel(name=BUNDLE))
    sync_bag_to_db(dagbag, BUNDLE, None)
    with create_session() as session:
        stored = SerializedDagModel.get("data_quality", session=session)
        assert stored
        run = stored.dag.create_dagrun(
            run_id="late",
            logical_date=None,
            data_interval=None,
            run_after=datetime.now(UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.QUEUED,
            session=session,
        )
        session.flush()
        deadline = session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id)).one()
        assert run.queued_at
        assert deadline.deadline_time - run.queued_at == OVERDUE
        # What the scheduler does when that time has come.
        deadline.handle_miss(session)
        told = dict(deadline.callback.data)
        session.rollback()

    async def trigger() -> list[str]:
        return [str(event.payload["state"]) async for event in CallbackTrigger(told["path"], told["kwargs"]).run()]

    with receiving() as receiver:
        monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", receiver.url)
        assert asyncio.run(trigger()) == ["running", "success"]
    ((_, _, alert),) = receiver.got
    assert (alert["event"], alert["dag"], alert["run"]) == ("run_overdue", "data_quality", "late")
