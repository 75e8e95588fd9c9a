"""The operator without a cluster. tests/kubernetes has it with pods."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from kubernetes_stand_ins import pod, waiting

from shopstream.config import Config
from shopstream.operators.pod_job import PodJobOperator, _may_go_on

Change = Callable[..., None]


@pytest.fixture
def kubernetes(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with a cluster that nobody is at home in."""
    environment.setenv("SHOPSTREAM_RUNTIME", "kubernetes")
    environment.setenv("SHOPSTREAM_NAMESPACE", "shop")
    environment.setenv("SHOPSTREAM_SPARK_IMAGE", "shopstream-spark:1")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    extra = {"conn_type": "kubernetes", "extra": {"kube_config": config}}
    environment.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(extra))
    return environment


def operator(**changed: Any) -> PodJobOperator:
    options: dict[str, Any] = {"task_id": "t", "job": "time_series", "arguments": ["--as-of=x", "", "--flag"]}
    return PodJobOperator(**options | changed)


def context() -> Any:
    ti = SimpleNamespace(dag_id="train_models", task_id="t", map_index=-1, try_number=1)
    return {"ti": ti, "run_id": "manual__2026-01-31T12:00:00+00:00", "dag": SimpleNamespace()}


def test_defaults_and_ordinary_arguments() -> None:
    task = operator(retries=5, execution_timeout=timedelta(minutes=3))
    assert (task.job, task.retries, task.execution_timeout) == ("time_series", 5, timedelta(minutes=3))
    assert task.deferrable
    assert task.durable
    assert task.do_xcom_push
    assert task.on_finish_action == "delete_pod"
    assert list(task.template_fields) == ["arguments"]


def test_the_pod_of_a_task(kubernetes: pytest.MonkeyPatch) -> None:
    built = operator(execution_timeout=timedelta(hours=1)).build_pod_request_obj(context(), dry_run=True)
    job = built.spec.containers[0]
    assert job.args[:5] == ["python", "-m", "spark_jobs.jobs.time_series", "--as-of=x", "--flag"]
    assert job.args[5:] == ["--result", "/airflow/xcom/return.json"]
    assert built.metadata.name.startswith("time-series-")
    assert built.metadata.namespace == "shop"
    labels = built.metadata.labels
    # What the clean-up command of the provider goes by.
    assert {"dag_id", "task_id", "run_id", "try_number", "airflow_version"} <= set(labels)
    assert labels["dag_id"] == "train_models"
    assert labels["app.kubernetes.io/part-of"] == "shopstream"
    assert built.spec.active_deadline_seconds == 3720


def test_the_labels_by_which_a_retry_finds_a_pod_are_on_it(kubernetes: pytest.MonkeyPatch) -> None:
    task = operator()
    labels = task.build_pod_request_obj(context(), dry_run=True).metadata.labels
    wanted = dict(
        part.split("=")
        for part in task._build_find_pod_label_selector(context()).split(",")
        if "=" in part and "!" not in part
    )
    assert wanted.items() <= labels.items()


def test_no_cluster_is_a_short_message_within_a_bounded_time(kubernetes: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with pytest.raises(
        AirflowException, match=r"^the Kubernetes API at https://127\.0\.0\.1:1: no answer \("
    ) as caught:
        operator().execute(context())
    assert type(caught.value) is AirflowException
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("variable", "value"), [("SHOPSTREAM_SPARK_IMAGE", ""), ("MONGODB_URI", ""), ("SHOPSTREAM_RUNTIME", "local")]
)
def test_a_bad_environment_is_not_retried(kubernetes: pytest.MonkeyPatch, variable: str, value: str) -> None:
    kubernetes.setenv(variable, value)
    with pytest.raises(AirflowFailException, match=variable):
        operator().execute(context())


def test_nothing_is_read_when_the_operator_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise AssertionError("the environment was read while a DAG was parsed")

    monkeypatch.setattr(Config, "from_env", forbidden)
    operator()


@pytest.mark.parametrize("job", ["", "../x", "a-b"])
def test_a_job_name_is_a_module_name(job: str) -> None:
    with pytest.raises(ValueError, match="name of a job"):
        operator(job=job)


def test_on_kill_before_the_pod_was_made_does_nothing() -> None:
    operator().on_kill()


@pytest.mark.parametrize(
    ("state", "event", "goes_on"),
    [
        ({"running": {}}, {"status": "error"}, True),
        ({"running": {}}, {"status": "error", "_redefer_count": 3}, False),
        ({"running": {}}, {"status": "timeout"}, False),
        (waiting("ErrImagePull"), {"status": "error"}, False),
        (waiting("ContainerCreating"), {"status": "error"}, True),
    ],
)
def test_a_wait_that_was_interrupted_goes_on(state: dict[str, Any], event: dict[str, Any], goes_on: bool) -> None:
    found = SimpleNamespace(metadata=SimpleNamespace(deletion_timestamp=None))
    phase = "Running" if "running" in state else "Pending"
    assert _may_go_on(pod(phase, state), found, event) is goes_on


@pytest.mark.parametrize(("in_cluster", "told"), [(True, True), (False, None)])
def test_the_trigger_finds_the_cluster_as_the_task_did(
    kubernetes: pytest.MonkeyPatch, in_cluster: bool, told: bool | None
) -> None:
    task = operator()
    task.pod = SimpleNamespace(metadata=SimpleNamespace(name="p", namespace="shop"))
    kubernetes.setattr(type(task.hook), "is_in_cluster", in_cluster)
    with pytest.raises(TaskDeferred) as deferred:
        task.invoke_defer_method()
    assert deferred.value.trigger.serialize()[1]["in_cluster"] is told
