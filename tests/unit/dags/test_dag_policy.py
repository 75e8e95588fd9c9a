"""Rules that every DAG of the platform keeps, whatever it does."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow_for_tests import DAGS, PLUGINS, REPOSITORY

from shopstream.assets import DIMENSIONS, EVENTS, MODELS
from shopstream.callbacks import report_failure
from shopstream.defaults import OWNER, START_DATE, TAGS, TRAINING_POOL
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.quality import OVERDUE

DAG_IDS = ["data_quality", "replay_events", "seed_dimensions", "streaming_lifecycle", "train_models"]
FILES = sorted(DAGS.glob("*.py"))
RUNBOOK = ["What", "Upstream", "Owner", "When it fails", "When a failure may be ignored"]


@pytest.fixture(params=DAG_IDS)
def dag(request: pytest.FixtureRequest, dagbag: DagBag) -> DAG:
    return dagbag.dags[request.param]


def tasks(dag: DAG) -> Iterator[Any]:
    assert dag.tasks
    yield from dag.tasks


def test_every_file_is_one_dag_of_its_name(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert sorted(dagbag.dags) == DAG_IDS == [file.stem for file in FILES]
    for dag_id, dag in dagbag.dags.items():
        assert Path(dag.fileloc).stem == dag_id


def test_no_warning_is_hidden(dagbag: DagBag) -> None:
    assert dagbag.captured_warnings == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_stay_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 150


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_only_describe(file: Path) -> None:
    """No branch, loop or error handling, and no look at the environment: that is for plugins."""
    tree = ast.parse(file.read_text())
    logic = (ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.Lambda)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, logic)] == []
    assert "environ" not in file.read_text()
    assert "RUNTIME" not in file.read_text()


@pytest.mark.parametrize(
    "file", [*FILES, *PLUGINS.rglob("*.py")], ids=lambda file: file.relative_to(REPOSITORY).as_posix()
)
def test_the_airflow_side_never_imports_the_spark_side(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.split(".")[0] not in {"pyspark", "spark_jobs", "embedded", "great_expectations"}


def test_the_docstring_is_the_runbook(dag: DAG) -> None:
    text = dag.doc_md or ""
    assert text == ast.get_docstring(ast.parse(Path(dag.fileloc).read_text()), clean=False)
    assert text.startswith(f"# {dag.dag_id}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == RUNBOOK
    for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert section.strip()


def test_tags_are_of_the_closed_set(dag: DAG) -> None:
    assert set(dag.tags) <= TAGS
    assert "shopstream" in dag.tags
    assert len(dag.tags) > 1


def test_dags_have_a_description_and_begin_at_a_fixed_date(dag: DAG) -> None:
    assert dag.description
    # Checks begin with the next hour instead: at the first start there is nothing to check.
    assert dag.start_date == (None if dag.dag_id == "data_quality" else START_DATE)
    assert dag.catchup is False
    # A training run may wait for a person's approval, and must not hold the next one up.
    assert dag.max_active_runs == (2 if dag.dag_id == "train_models" else 1)


def test_every_task_has_owner_retries_limit_and_callback(dag: DAG) -> None:
    for task in tasks(dag):
        assert task.owner == OWNER
        assert task.retries >= 1
        assert task.retry_delay >= timedelta(seconds=10)
        assert task.retry_exponential_backoff >= 2
        assert task.max_retry_delay
        assert timedelta() < task.execution_timeout <= timedelta(hours=24)
        # A mapped task keeps the callback as it was given, and makes a list of it when it runs.
        callbacks = task.on_failure_callback
        assert report_failure in (callbacks if isinstance(callbacks, list) else [callbacks])


def test_an_overdue_quality_run_is_reported(dagbag: DagBag) -> None:
    dag = dagbag.dags["data_quality"]
    (stored,) = DagSerialization.to_dict(dag)["dag"]["deadline"]
    told = json.dumps(stored)
    assert "DagRunQueuedAtDeadline" in told
    assert "shopstream.callbacks.report_overdue" in told
    assert timedelta(hours=1) > OVERDUE


def test_every_param_explains_itself(dag: DAG) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema["title"]
        assert param.schema["type"]
        assert param.description
    dag.params.validate()


def test_dags_can_be_serialised(dag: DAG) -> None:
    json.dumps(DagSerialization.to_dict(dag))


@pytest.mark.parametrize(
    ("dag_id", "defaults"),
    [
        ("seed_dimensions", {"file": None, "products_csv": None, "users_csv": None}),
        (
            "replay_events",
            {"source": "file", "file": None, "reason": None, "rate": 0, "limit": 0, "shift_to_now": False},
        ),
        ("streaming_lifecycle", {"action": "ensure", "accept_data_loss": False}),
        ("data_quality", {"collections": None, "whole": False, "limit": 0}),
        ("train_models", {"as_of": None}),
    ],
)
def test_params_and_their_defaults(dagbag: DagBag, dag_id: str, defaults: dict[str, Any]) -> None:
    assert dagbag.dags[dag_id].params.dump() == defaults


@pytest.mark.parametrize(
    ("dag_id", "bad"),
    [
        ("replay_events", {"source": "elsewhere"}),
        ("replay_events", {"reason": 7}),
        ("replay_events", {"rate": -1}),
        ("replay_events", {"limit": 1.5}),
        ("replay_events", {"shift_to_now": "yes"}),
        ("streaming_lifecycle", {"action": "explode"}),
        ("data_quality", {"collections": "products"}),
        ("data_quality", {"limit": -1}),
        ("train_models", {"as_of": 20191101}),
    ],
)
def test_bad_params_are_refused_by_the_form(dagbag: DagBag, dag_id: str, bad: dict[str, Any]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match="Failed validating"):
        dagbag.dags[dag_id].params.get_param(name).resolve(value)


def test_who_publishes_what(dagbag: DagBag) -> None:
    published = {
        (task.dag_id, task.task_id): task.outlets for dag in dagbag.dags.values() for task in tasks(dag) if task.outlets
    }
    assert published == {
        ("seed_dimensions", "seed_dimensions"): [DIMENSIONS],
        ("replay_events", "replay_events"): [EVENTS],
        ("train_models", "promote"): [MODELS],
        ("train_models", "promote_by_hand"): [MODELS],
    }


def test_schedules(dagbag: DagBag) -> None:
    summaries = {dag_id: DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable.summary
                 for dag_id, dag in dagbag.dags.items()}  # fmt: skip
    assert summaries == {
        "seed_dimensions": "None",
        "replay_events": "None",
        "streaming_lifecycle": "*/5 * * * *",
        "data_quality": "Asset or 0 * * * *",
        "train_models": "0 */6 * * *",
    }


def test_the_shape_of_training(dagbag: DagBag) -> None:
    dag = dagbag.dags["train_models"]
    assert {task.task_id: task.downstream_task_ids for task in tasks(dag)} == {
        "extract_events": {"features", "recommendations", "time_series", "statistics", "journeys"},
        "features": {"segments", "churn"},
        "segments": {"promote"},
        "churn": {"promote"},
        "recommendations": {"promote"},
        "time_series": {"promote"},
        "statistics": {"promote"},
        "journeys": {"promote"},
        "promote": {"approve", "retention"},
        "approve": {"promote_by_hand"},
        "promote_by_hand": set(),
        "retention": set(),
    }
    assert dag.task_dict["promote"].trigger_rule == "none_failed_min_one_success"


def test_all_training_jobs_share_a_declared_pool(dagbag: DagBag) -> None:
    declared = json.loads((PLUGINS / "pools.json").read_text())
    pools = {task.task_id: task.pool for task in tasks(dagbag.dags["train_models"])}
    assert pools.pop("approve") == "default_pool"
    assert set(pools.values()) == {TRAINING_POOL}
    # A pod's task is deferred while the pod is at work.
    assert declared[TRAINING_POOL]["include_deferred"] is True
    assert declared.keys() == {TRAINING_POOL}


def test_a_question_is_answered_with_no_before_the_next_run_ends(dagbag: DagBag) -> None:
    approve: Any = dagbag.dags["train_models"].task_dict["approve"]
    assert approve.defaults == ["Reject"]
    assert timedelta(hours=1) <= approve.response_timeout < timedelta(hours=6)


def job_source(job: str) -> str:
    """Return the text of a job and of the modules that it imports from its own side: a command line may be shared."""
    file = REPOSITORY / "spark_jobs" / "jobs" / f"{job}.py"
    imported = [node.module for node in ast.parse(file.read_text()).body if isinstance(node, ast.ImportFrom)]
    modules = [
        REPOSITORY / f"{name.replace('.', '/')}.py" for name in imported if name and name.startswith("spark_jobs.")
    ]
    return "".join(path.read_text() for path in [file, *modules] if path.exists())


def test_jobs_know_the_options_that_dags_give_them(dagbag: DagBag) -> None:
    """The two sides share no import, so this reads the jobs' source."""
    jobs = [task for dag in dagbag.dags.values() for task in tasks(dag) if isinstance(task, SparkJobOperator)]
    assert len(jobs) == 14
    for task in jobs:
        source = job_source(task.job)
        for option in re.findall(r"--[a-z-]+", " ".join(task.arguments)):
            assert f'"{option}"' in source, f"{task.job} knows no {option}"
