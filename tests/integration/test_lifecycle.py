"""The streaming application's life under its DAG, and the stack's under the launcher."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.stack import RunningStack, wait_for


def driver(stack: RunningStack) -> dict[str, Any]:
    return stack.db["stream_health"].find_one({"_id": "driver"}) or {}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_healthy_driver_is_left_alone(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    before = driver(stack)["pid"]
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    assert driver(stack)["pid"] == before


def test_a_killed_driver_is_replaced(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    before = driver(stack)["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not is_alive(before), 10, "the driver is gone")
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    after = driver(stack)
    assert after["pid"] != before
    assert after["state"] == "running"


def test_a_second_driver_is_refused(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    second = stack.job("stream")
    assert second.returncode == 2
    assert second.stderr.strip().splitlines()[-1].startswith("error: another streaming driver is running")


def test_a_second_driver_that_shares_only_the_document_store_is_refused(stack: RunningStack, tmp_path: Path) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    before = driver(stack)
    elsewhere = {"SHOPSTREAM_DATA_DIR": str(tmp_path), "SHOPSTREAM_STREAM_LEASE_SECONDS": "1"}
    second = replace(stack, exported={**stack.exported, **elsewhere}).job("stream")
    assert second.returncode == 2
    refusal = f"error: another streaming driver is running on {before['host']} "
    assert second.stderr.strip().splitlines()[-1].startswith(refusal)
    assert driver(stack)["pid"] == before["pid"], "it has written nothing"


def test_a_driver_whose_right_somebody_else_has_ends_at_once(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    before = driver(stack)["pid"]
    stack.db["stream_lease"].update_one({}, {"$set": {"owner": "elsewhere|1|x"}})
    wait_for(lambda: not is_alive(before), 10, "the driver is gone")
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    assert driver(stack)["pid"] != before


def test_stop_ends_the_driver_until_it_is_wanted_again(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    before = driver(stack)["pid"]
    stack.run_dag("streaming_lifecycle", {"action": "stop"})
    wait_for(lambda: not is_alive(before), 30, "the driver is gone")
    assert driver(stack)["state"] == "stopped"
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    assert driver(stack)["state"] == "running"


def test_up_again_is_harmless(stack: RunningStack) -> None:
    again = stack.launcher("up")
    assert again.returncode == 0, again.stderr
    assert "everything is up already" in again.stdout


def test_status_names_every_component(stack: RunningStack) -> None:
    table = stack.launcher("status").stdout
    for component in ("kafka", "mongodb", "airflow-scheduler", "airflow-api-server"):
        assert component in table


def test_the_database_wants_a_password(stack: RunningStack) -> None:
    port = stack.environ["SHOPSTREAM_MONGODB_PORT"]
    client: MongoClient[dict[str, Any]] = MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true")
    with client, pytest.raises(OperationFailure):
        client["shopstream"]["products"].find_one()


def test_the_ui_wants_a_login(stack: RunningStack) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{stack.url}/api/v2/dags", timeout=30)  # noqa: S310
    assert refused.value.code == 401


def test_a_file_that_is_missing_fails_at_once_and_says_so(stack: RunningStack) -> None:
    run_id = stack.run_dag("replay_events", {"file": "/nowhere/events.csv"}, expect="failed")
    log = "\n".join(stack.api.task_log("replay_events", run_id, "replay_events"))
    assert "/nowhere/events.csv cannot be read" in log
