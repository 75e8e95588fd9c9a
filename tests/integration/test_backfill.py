"""Training by `airflow backfill create`: complete, two runs at a time, and identical when repeated.

BACKFILL_WINDOWS says how many six-hour windows, and that this is wanted at all: 2 take a quarter of an hour on two
cores that also do other work, the 28 of a week far longer.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.training import documents
from data.generate_events import generate
from data.shopgen.settings import Settings
from spark_jobs.ml.retention import COLLECTIONS
from tests.stack import REPOSITORY, RunningStack, running_stack, wait_for

WINDOWS = int(os.environ.get("BACKFILL_WINDOWS", "0"))
pytestmark = pytest.mark.skipif(not WINDOWS, reason="no BACKFILL_WINDOWS is set, and even 2 take a quarter of an hour")
SIX_HOURS = timedelta(hours=6)
SHOP = Settings(users=250, days=31, events=12_000, seed=7)
END = datetime.combine(SHOP.start, datetime.min.time(), UTC) + timedelta(days=30)
MOMENTS = [END - SIX_HOURS * number for number in range(WINDOWS)][::-1]
SECONDS_PER_WINDOW = 400.0

Fingerprints = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of its own: its events were not streamed, and would be missed by tests that recompute from Kafka."""
    file = tmp_path_factory.mktemp("events") / "month.csv"
    generate(SHOP, file)
    # The stream would only take time from training here.
    with running_stack({"SHOPSTREAM_LIFECYCLE_CRON": "0 0 1 1 *"}) as running:
        running.db["enriched_events"].insert_many(list(documents(file)))
        running.api.await_dags({"train_models", "data_quality"})
        # Every trained moment would be checked, between the others.
        running.api.request("PATCH", "/api/v2/dags/data_quality", {"is_paused": True})
        yield running


def backfill(stack: RunningStack, behaviour: str, moments: list[datetime]) -> list[dict[str, Any]]:
    """Create a backfill on the command line, wait for its end, and return the runs it has started."""
    before = {run["dag_run_id"]: run["queued_at"] for run in backfilled(stack)}
    python = Path(stack.environ["SHOPSTREAM_HOME"]) / "venvs/airflow/bin/python"
    dates = (
        f"--from-date={moments[0] - SIX_HOURS:%Y-%m-%dT%H:%M:%SZ}",
        f"--to-date={moments[-1] - SIX_HOURS:%Y-%m-%dT%H:%M:%SZ}",
    )
    options = ("--dag-id=train_models", *dates, "--max-active-runs=2", f"--reprocess-behavior={behaviour}")
    created = subprocess.run(
        [str(python), "-m", "airflow", "backfill", "create", *options],
        env={**stack.environ, **stack.exported},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert created.returncode == 0, created.stdout + created.stderr
    at_once = 0

    def complete() -> bool:
        nonlocal at_once
        at_once = max(at_once, sum(run["state"] == "running" for run in backfilled(stack)))
        listed = stack.api.request("GET", "/api/v2/backfills?dag_id=train_models&order_by=-id&limit=1")["backfills"]
        return bool(listed[0]["completed_at"])

    wait_for(complete, 120 + SECONDS_PER_WINDOW * len(moments), f"the end of a backfill of {len(moments)} windows")
    assert at_once <= 2
    return [run for run in backfilled(stack) if before.get(run["dag_run_id"]) != run["queued_at"]]


def backfilled(stack: RunningStack) -> list[dict[str, Any]]:
    return [run for run in stack.api.runs("train_models", limit=100) if run["run_type"] == "backfill"]


def fingerprints(stack: RunningStack) -> Fingerprints:
    records = stack.db["model_runs"].find({"kind": "run"})
    return {one["_id"]: (one["data_fingerprint"], one["output_fingerprint"]) for one in records}


def contents(stack: RunningStack, moments: list[datetime]) -> dict[str, list[dict[str, Any]]]:
    return {name: list(stack.db[name].find({"as_of": {"$in": moments}}).sort("_id")) for name in COLLECTIONS}


@pytest.fixture(scope="module")
def first(stack: RunningStack) -> tuple[Fingerprints, dict[str, list[dict[str, Any]]]]:
    """What the first backfill has written."""
    runs = backfill(stack, "none", MOMENTS)
    assert [run["state"] for run in runs] == ["success"] * WINDOWS, runs
    for run in runs:
        states = stack.api.task_states("train_models", run["dag_run_id"])
        assert {states.pop(task) for task in ("approve", "promote_by_hand")} == {"skipped"}
        assert set(states.values()) == {"success"}, states
    return fingerprints(stack), contents(stack, MOMENTS)


def test_every_window_has_every_model(stack: RunningStack, first: Any) -> None:
    prints, written = first
    assert len(prints) == 7 * WINDOWS
    for name, found in written.items():
        assert {document["as_of"] for document in found} == set(MOMENTS), name
    # No two moments have the same events or the same features.
    assert len({value for key, value in prints.items() if key.endswith("|features")}) == WINDOWS


def test_latest_is_one_of_them_and_found_by_its_id(stack: RunningStack, first: Any) -> None:
    latest = stack.db["model_runs"].find_one({"_id": "latest"}) or {}
    record = stack.db["model_runs"].find_one({"as_of": latest["as_of"], "model": "churn"}) or {}
    assert latest["as_of"] in MOMENTS
    assert record["promoted"] is True


def test_a_backfill_of_what_is_done_does_nothing(stack: RunningStack, first: Any) -> None:
    for behaviour in ("none", "failed"):
        assert backfill(stack, behaviour, MOMENTS) == []


def test_failed_runs_are_repeated_and_no_others(stack: RunningStack, first: Any) -> None:
    failed = min(run["dag_run_id"] for run in backfilled(stack))
    stack.api.request("PATCH", f"/api/v2/dags/train_models/dagRuns/{quote(failed, safe='')}", {"state": "failed"})
    runs = backfill(stack, "failed", MOMENTS)
    assert [(run["dag_run_id"], run["state"]) for run in runs] == [(failed, "success")]
    assert (fingerprints(stack), contents(stack, MOMENTS)) == first


def test_the_same_backfill_again_writes_the_same(stack: RunningStack, first: Any) -> None:
    runs = backfill(stack, "completed", MOMENTS)
    assert [run["state"] for run in runs] == ["success"] * WINDOWS
    assert (fingerprints(stack), contents(stack, MOMENTS)) == first


def test_a_run_by_hand_writes_the_same_too(stack: RunningStack, first: Any) -> None:
    stack.run_dag("train_models", {"as_of": MOMENTS[0].isoformat()})
    assert (fingerprints(stack), contents(stack, MOMENTS)) == first


def test_history_that_arrived_late_is_picked_up_by_a_backfill(stack: RunningStack, first: Any) -> None:
    late = {**(stack.db["enriched_events"].find_one() or {}), "_id": "late", "event_timestamp": MOMENTS[-1] - SIX_HOURS}
    stack.db["enriched_events"].insert_one(late)
    backfill(stack, "completed", MOMENTS[-1:])
    changed = {key for key, value in fingerprints(stack).items() if value != first[0][key]}
    assert {key.partition("|")[0] for key in changed} == {f"{MOMENTS[-1]:%Y-%m-%dT%H:%M:%SZ}"}
    assert len(changed) == 7


def test_a_refused_run_waits_for_a_person_who_promotes_it(stack: RunningStack, first: Any) -> None:
    api, as_of = stack.api, END + SIX_HOURS
    # A promoted run nobody can beat, whose model is not at hand to be compared on the same users.
    flattered = {"as_of": END, "churn_auc": 1.0}
    stack.db["model_runs"].update_one({"_id": "latest"}, {"$set": flattered})
    stack.db["model_runs"].update_one({"as_of": END, "model": "churn"}, {"$set": {"artefact_path": "models/gone"}})
    run_id = api.trigger("train_models", {"as_of": as_of.isoformat()})
    wait_for(lambda: api.task_states("train_models", run_id).get("approve") == "awaiting_input", 900, "the question")
    wait_for(lambda: api.task_states("train_models", run_id).get("retention") == "success", 60, "retention")
    assert (stack.db["model_runs"].find_one({"_id": "latest"}) or {})["as_of"] == END
    path = f"/api/v2/dags/train_models/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    assert "clearly worse" in api.request("GET", path)["body"]
    api.request("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    assert api.wait("train_models", run_id, 300) == "success"
    latest = stack.db["model_runs"].find_one({"_id": "latest"}) or {}
    assert latest["as_of"] == as_of
    assert latest["reason"].startswith(f"promoted by {stack.login[0]}, though clearly worse")
