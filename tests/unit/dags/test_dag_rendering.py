"""What DAGs make of params and intervals: the command lines that jobs get, rendered by Airflow's own templating."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import timezone
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

NOON = datetime(2019, 11, 1, 12, tzinfo=UTC)


def run(interval: DataInterval | None = None, run_after: datetime = NOON, run_type: str = "manual") -> SimpleNamespace:
    return SimpleNamespace(
        run_id=f"{run_type}__{run_after.isoformat()}",
        run_type=run_type,
        run_after=run_after,
        data_interval_end=interval.end if interval else None,
    )


def arguments(bag: DagBag, dag_id: str, task_id: str, dag_run: Any = None, **params: Any) -> list[str]:
    """Render a task's command line as the task does, leaving out what renders to nothing."""
    dag = bag.dags[dag_id]
    task: Any = dag.task_dict[task_id]
    dag_run = dag_run or run()
    context = {
        "dag_run": dag_run,
        "run_id": dag_run.run_id,
        "params": dag.params.dump() | params,
        "ti": SimpleNamespace(xcom_pull=lambda task_ids: {"approve": {"responded_by_user": {"name": "ada"}}}[task_ids]),
        "dag": dag,
        "triggering_asset_events": {},
    }
    rendered = task.render_template(task.arguments, context)
    return [argument for argument in rendered if argument]


def as_of(bag: DagBag, dag_run: Any, given: str | None = None) -> str:
    (first, *others) = {
        argument
        for task_id in bag.dags["train_models"].task_dict
        if hasattr(bag.dags["train_models"].task_dict[task_id], "arguments")
        for argument in arguments(bag, "train_models", task_id, dag_run, as_of=given)
        if argument.startswith("--as-of")
    }
    assert others == [], "all tasks of a run look back from one moment"
    return first


@pytest.fixture
def training(dagbag: DagBag) -> Any:
    """The training DAG as the scheduler sees it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dagbag.dags["train_models"]))


def test_as_of_of_a_scheduled_run_is_the_end_of_its_six_hours(dagbag: DagBag, training: Any) -> None:
    restriction = TimeRestriction(earliest=timezone.coerce_datetime(NOON), latest=None, catchup=True)
    info = training.timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info.data_interval.end - info.data_interval.start == timedelta(hours=6)
    dag_run = run(info.data_interval, info.run_after, "scheduled")
    assert as_of(dagbag, dag_run) == "--as-of=2019-11-01T18:00:00Z"


def test_as_of_of_backfilled_runs_are_the_ends_of_their_intervals(dagbag: DagBag, training: Any) -> None:
    infos = list(training.iter_dagrun_infos_between(NOON, NOON + timedelta(hours=12)))
    runs = [run(info.data_interval, datetime.now(UTC), "backfill") for info in infos]
    assert [as_of(dagbag, dag_run) for dag_run in runs] == [
        "--as-of=2019-11-01T18:00:00Z",
        "--as-of=2019-11-02T00:00:00Z",
        "--as-of=2019-11-02T06:00:00Z",
    ]


def test_as_of_of_manual_runs(dagbag: DagBag, training: Any) -> None:
    moment = NOON + timedelta(hours=5)
    interval = training.timetable.infer_manual_data_interval(run_after=moment)
    with_logical_date, without = run(interval, moment), run(None, moment)
    assert as_of(dagbag, with_logical_date) == as_of(dagbag, without) == "--as-of=2019-11-01T12:00:00Z"
    assert as_of(dagbag, without, "2019-11-01T00:00:00+01:00") == "--as-of=2019-10-31T23:00:00Z"


def test_who_has_approved_is_told_to_the_job(dagbag: DagBag) -> None:
    assert arguments(dagbag, "train_models", "promote_by_hand")[1] == "--by=ada"


def test_seed_dimensions(dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ("seed_dimensions", "seed_dimensions")
    monkeypatch.setenv("SHOPSTREAM_EVENTS", "/data/default.csv.gz")
    assert arguments(dagbag, *task) == ["--events=/data/default.csv.gz"]
    rendered = arguments(dagbag, *task, file="/my events.csv", products_csv="/p.csv", users_csv="/u.csv")
    assert rendered == ["--events=/my events.csv", "--products-csv=/p.csv", "--users-csv=/u.csv"]


def test_replay_events(dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ("replay_events", "replay_events")
    monkeypatch.setenv("SHOPSTREAM_EVENTS", "/data/default.csv.gz")
    name = "--run-id=manual__2019-11-01T12_00_00_00_00"
    assert arguments(dagbag, *task) == ["--file=/data/default.csv.gz", "--rate=0", "--limit=0", name]
    rendered = arguments(dagbag, *task, file="/x.csv", rate=2.5, limit=10, shift_to_now=True)
    assert rendered == ["--file=/x.csv", "--rate=2.5", "--limit=10", "--shift-to-now", name]


def test_replay_of_dead_letters_asks_for_no_file(dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPSTREAM_EVENTS", raising=False)
    task = ("replay_events", "replay_events")
    name = "--run-id=manual__2019-11-01T12_00_00_00_00"
    rendered = arguments(dagbag, *task, source="dead_letters", file="/x.csv")
    assert rendered == ["--dead-letters", "--rate=0", "--limit=0", name]
    rendered = arguments(dagbag, *task, source="dead_letters", reason="bad_price", rate=5, limit=3)
    assert rendered == ["--dead-letters", "--reason=bad_price", "--rate=5", "--limit=3", name]


def test_data_quality(dagbag: DagBag) -> None:
    run_id = "manual__2019-11-01T12_00_00_00_00"
    page = f"http://localhost:8080/plugin/data-quality/quality/run?id={run_id}"
    name = [f"--run-id={run_id}", f"--report-url={page}"]
    assert arguments(dagbag, "data_quality", "validate") == name
    rendered = arguments(dagbag, "data_quality", "validate", collections=["users", "products"], whole=True, limit=50)
    assert rendered == [*name, "--collections=users,products", "--whole", "--limit=50"]


def test_streaming_lifecycle(dagbag: DagBag) -> None:
    task: Any = dagbag.dags["streaming_lifecycle"].task_dict["streaming_application"]
    assert task.render_template(task.action, {"params": {"action": "stop"}}) == "stop"
