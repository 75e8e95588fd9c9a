"""Whole DAG runs in Airflow's own test mode; a script stands in for the jobs and records what it is asked to do."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from webhook_receiver import receiving

# Called as `SCRIPT -m spark_jobs.jobs.<job> ... --result FILE`; jobs listed in STAND_IN_ENDS end as it says.
JOBS = """#!{python}
import json, os, sys
job = sys.argv[2].rpartition(".")[2]
with open(os.environ["STAND_IN_CALLS"], "a") as calls:
    calls.write(job + "\\n")
end = json.loads(os.environ["STAND_IN_ENDS"]).get(job, {{}})
if "exit" in end:
    print(end["words"], file=sys.stderr)
    sys.exit(end["exit"])
with open(sys.argv[sys.argv.index("--result") + 1], "w") as file:
    json.dump(end or {{"rows": 1}}, file)
"""

Run = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def database() -> None:
    """Airflow's metadata database."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def run(database: None, dagbag: DagBag, tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a DAG; returns the state of the run (key "") and of each task."""
    script = tmp_path / "spark-python"
    script.write_text(JOBS.format(python=sys.executable))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("MONGODB_URI", "mongodb://u:p@127.0.0.1:1/shopstream")
    monkeypatch.setenv("SHOPSTREAM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHOPSTREAM_SPARK_PYTHON", str(script))
    monkeypatch.setenv("STAND_IN_CALLS", str(calls))

    def execute(dag_id: str, ends: dict[str, Any], **params: Any) -> dict[str, str]:
        monkeypatch.setenv("STAND_IN_ENDS", json.dumps(ends))
        dag_run = dagbag.dags[dag_id].test(run_conf=params)
        return {"": str(dag_run.state)} | {_name(ti): str(ti.state) for ti in dag_run.get_task_instances()}

    return execute


def _name(ti: Any) -> str:
    """A task's id, of a mapped one with what it is about."""
    return ti.task_id if ti.map_index < 0 else f"{ti.task_id} {ti.rendered_map_index}"


def skipped(words: str) -> dict[str, Any]:
    return {"exit": 99, "words": f"skipped: {words}"}


def test_training_goes_on_without_a_skipped_model(run: Run, calls: Path) -> None:
    states = run("train_models", {"churn": skipped("3 of 14 days")}, as_of="2019-11-01T00:00:00Z")
    assert {states.pop(task) for task in ("churn", "approve", "promote_by_hand")} == {"skipped"}
    assert set(states.values()) == {"success"}
    called = calls.read_text().split()
    assert called[0] == "extract_events"
    assert called[-2:] == ["promote", "retention"]
    assert len(called) == 10


def test_training_without_any_events_is_skipped_as_a_whole(run: Run, calls: Path) -> None:
    states = run("train_models", {"extract_events": skipped("no events")})
    assert states.pop("") == "success"
    assert set(states.values()) == {"skipped"}
    assert calls.read_text().split() == ["extract_events"]


def test_a_failed_model_is_not_promoted(run: Run) -> None:
    states = run("train_models", {"churn": {"exit": 2, "words": "error: SHOPSTREAM_SPARK_MASTER is malformed"}})
    assert (states[""], states["churn"], states["promote"]) == ("failed", "failed", "upstream_failed")


def test_each_check_is_judged_for_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {
        "status": "passed",
        "checked": 2,
        "total": 2,
        "evaluated": 3,
        "critical": 0,
        "warnings": 1,
        "message": None,
        "expectations": [],
        "findings": ["WARNING users: brand: 1 of 2"],
        "report": "/r",
        "report_url": None,
    }
    bad = good | {"critical": 1, "warnings": 0, "expectations": ["id"], "findings": ["CRITICAL products: id: 1 of 2"]}
    with receiving() as receiver:
        monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", receiver.url)
        assert run("data_quality", {"validate": {"users": good, "products": bad}}) == {
            "": "failed",
            "validate": "success",
            "judge users": "success",
            "judge products": "failed",
        }
    ((_, _, alert),) = receiver.got
    assert (alert["dag"], alert["task"], alert["map_index"]) == ("data_quality", "judge", 1)
    assert (alert["collection"], alert["expectations"], alert["link"]) == ("products", ["id"], "/r")


def test_a_replay_without_a_file_fails_at_once(run: Run, calls: Path) -> None:
    assert run("replay_events", {}) == {"": "failed", "replay_events": "failed"}
    assert not calls.exists()
