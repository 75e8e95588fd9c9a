"""Batch jobs as pods, through a real Airflow: what becomes of every way that a pod can end, or not start."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster, kit
from tests.kubernetes.images import BASE
from tests.kubernetes.runtime_airflow import Airflow, running_airflow
from tests.kubernetes.runtime_cluster import connection, kubeconfig_of, provide, use_up_quota
from tests.stack import wait_for

HERE = Path(__file__).parent
IMAGE = "shopstream-test-job:1"
DOCKERFILE = f"""
FROM {BASE}
COPY spark_jobs /opt/shopstream/spark_jobs
ENV PYTHONPATH=/opt/shopstream PYTHONUNBUFFERED=1
USER 185:0
"""

# Longest time a pod may take to start; what never starts is given up then.
START_SECONDS = 20


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """An image with nothing but the stand-in for a job."""
    kit("base-image", BASE)
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder, "spark_jobs", "jobs")
        jobs.mkdir(parents=True)
        shutil.copy(HERE / "runtime_stand_in_job.py", jobs / "features.py")
        Path(folder, "Dockerfile").write_text(DOCKERFILE)
        kit("build", "-t", IMAGE, folder)
    kit("load", IMAGE)
    return IMAGE


@pytest.fixture(scope="module")
def quota(cluster: Cluster) -> Iterator[str]:
    """A namespace whose quota is used up."""
    with cluster.namespace("quota") as name:
        provide(cluster, name)
        use_up_quota(cluster, name)
        yield name


@pytest.fixture(scope="module")
def airflow(cluster: Cluster, image: str, namespace: str, quota: str) -> Iterator[Airflow]:
    """Airflow, which knows the cluster by its connection."""
    provide(cluster, namespace)
    stranger = kubeconfig_of(cluster, namespace, "stranger")
    gone = deepcopy(stranger)
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    missing_secret = f"{namespace}-bare"
    cluster.kubectl("create", "namespace", missing_secret)
    provide(cluster, missing_secret)
    cluster.kubectl("delete", "secret", "shopstream-secrets", "-n", missing_secret)
    faults = {
        "no_image": {"SHOPSTREAM_SPARK_IMAGE": "shopstream-missing:1"},
        "too_large": {"SHOPSTREAM_POD_RESOURCES": '{"features": {"memory": "900Gi"}}'},
        "no_namespace": {"SHOPSTREAM_NAMESPACE": "nowhere"},
        "no_secret": {"SHOPSTREAM_NAMESPACE": missing_secret},
        "no_quota": {"SHOPSTREAM_NAMESPACE": quota},
        "no_right": {"AIRFLOW_CONN_KUBERNETES_DEFAULT": connection(kube_config=stranger)},
        "no_cluster": {"AIRFLOW_CONN_KUBERNETES_DEFAULT": connection(kube_config=gone)},
        "no_setting": {"SHOPSTREAM_SPARK_IMAGE": ""},
    }
    variables = {
        "MONGODB_URI": "mongodb://airflow:word@host/db",
        "SHOPSTREAM_RUNTIME": "kubernetes",
        "SHOPSTREAM_NAMESPACE": namespace,
        "SHOPSTREAM_SPARK_IMAGE": image,
        "SHOPSTREAM_IMAGE_PULL_POLICY": "Never",
        "SHOPSTREAM_POD_START_SECONDS": str(START_SECONDS),
        "SHOPSTREAM_POD_RESOURCES": json.dumps({"training": {"cpu": "50m", "memory": "768Mi"}}),
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": connection(kube_config_path=str(cluster.kubeconfig)),
        "TEST_FAULTS": json.dumps(faults),
    }
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "runtime_dags.py", Path(folder, "dags.py"))
        with running_airflow(Path(folder), variables) as airflow:
            airflow.api.await_dags({"job", "short", "faults"})
            yield airflow
    cluster.kubectl("delete", "namespace", missing_secret, "--wait=false")


@pytest.fixture
def no_pod_stays(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Whatever the test does, no pod is left in the end."""
    yield
    wait_for(lambda: not cluster.get("pods", "-n", namespace)["items"], 60, "the end of all pods")


pytestmark = pytest.mark.usefixtures("no_pod_stays")


def levels(log: list[tuple[str, str]], text: str) -> list[str]:
    return [level for level, message in log if text in message]


def test_a_job_succeeds(airflow: Airflow) -> None:
    run_id = airflow.api.trigger("job", {"do": "succeed"})
    assert airflow.api.wait("job", run_id, seconds=300) == "success"
    assert airflow.api.result("job", run_id, "job") == {"did": "succeed", "rows": 3}
    log = airflow.log("job", run_id, "job")
    text = "\n".join(message for _, message in log)
    # Output as with the local runtime: levels, no credentials, no line twice.
    assert levels(log, "job: careful with mongodb://***:***@host/db") == ["warning"]
    assert levels(log, "plain line of 185:0, uri mongodb") == ["info"]
    assert levels(log, "Spark: the last line") == ["error"]
    assert "user:word" not in text
    # The root is read-only.
    assert "/etc/x: Read-only file system" in text
    assert "/opt/x: Read-only file system" in text


def test_the_output_is_shown_while_the_job_runs_and_a_killed_task_leaves_no_pod(
    airflow: Airflow, cluster: Cluster, namespace: str
) -> None:
    run_id = airflow.api.trigger("job", {"do": "sleep"})
    wait_for(lambda: bool(levels(airflow.log("job", run_id, "job"), "plain line of 185:0")), 90, "output of the job")
    assert airflow.instance("job", run_id, "job")["state"] == "deferred"
    assert len(cluster.get("pods", "-n", namespace)["items"]) == 1
    path = f"/api/v2/dags/job/dagRuns/{run_id}/taskInstances/job"
    airflow.api.request("PATCH", path, {"new_state": "failed"})
    wait_for(lambda: not cluster.get("pods", "-n", namespace)["items"], 60, "the end of the pod")


def test_a_skipped_job_says_why(airflow: Airflow) -> None:
    attempt = airflow.outcome("job", "job", {"do": "skip"})
    assert attempt.state == "skipped"
    assert "3 of 14 days" in attempt.text


def test_bad_input_is_not_retried(airflow: Airflow) -> None:
    attempt = airflow.outcome("job", "job", {"do": "bad_input"})
    assert (attempt.state, attempt.number) == ("failed", 1)
    assert "AirflowFailException: job features: no column price in 2019-Oct.csv" in attempt.text


def test_a_crash_is_retried_and_told(airflow: Airflow) -> None:
    attempt = airflow.outcome("job", "job", {"do": "crash"})
    assert (attempt.state, attempt.number) == ("failed", 2)
    assert "job features failed with exit status 1: ValueError: the snapshot is empty" in attempt.text


def test_a_job_out_of_memory_is_retried_and_told_its_limit(airflow: Airflow) -> None:
    attempt = airflow.outcome("job", "job", {"do": "eat"})
    assert (attempt.state, attempt.number) == ("failed", 2)
    assert "job features was killed for its memory: more than its limit of 768Mi" in attempt.text


def test_a_lost_pod_is_replaced_by_the_retry(airflow: Airflow, cluster: Cluster, namespace: str) -> None:
    run_id = airflow.api.trigger("job", {"do": "once"})
    wait_for(lambda: bool(levels(airflow.log("job", run_id, "job"), "plain line of 185:0")), 90, "output of the job")
    (pod,) = cluster.get("pods", "-n", namespace)["items"]
    cluster.kubectl("delete", "pod", "-n", namespace, pod["metadata"]["name"], "--wait=false")
    assert airflow.api.wait("job", run_id, seconds=300) == "success"
    assert airflow.instance("job", run_id, "job")["try_number"] == 2
    first = "\n".join(message for _, message in airflow.log("job", run_id, "job", 1))
    assert "deleted from outside" in first


def test_a_job_that_takes_too_long_is_ended(airflow: Airflow) -> None:
    attempt = airflow.outcome("short", "job")
    assert attempt.state == "failed"
    assert "job features took longer than its limit of 0:00:15" in attempt.text


@pytest.fixture(scope="module")
def faults(airflow: Airflow) -> str:
    """A run of all jobs whose surroundings have a fault."""
    run_id = airflow.api.trigger("faults")
    assert airflow.api.wait("faults", run_id, seconds=600) == "failed"
    return run_id


@pytest.mark.parametrize(
    ("task", "tries", "message"),
    [
        ("no_image", 2, r"pod {ns}/features-\w+ did not start: ErrImageNeverPull: .*\(image shopstream-missing:1\)"),
        ("too_large", 2, r"pod {ns}/features-\w+ did not start: no node takes it: 0/1 nodes are available: .*memory"),
        ("no_namespace", 1, r"creating a pod of job features in namespace nowhere: not found: namespaces .nowhere."),
        ("no_secret", 2, r"did not start: CreateContainerConfigError: secret .shopstream-secrets. not found"),
        (
            "no_quota",
            2,
            r"the quota of the namespace is used up: pods .features-\w+. is forbidden: exceeded quota: none",
        ),
        ("no_right", 1, r"creating a pod of job features in namespace {ns}: forbidden: .*stranger. cannot"),
        ("no_cluster", 2, r"the Kubernetes API at https://127.0.0.1:1: no answer \(.*refused"),
        ("no_setting", 1, r"SHOPSTREAM_SPARK_IMAGE='' names no image"),
    ],
)
def test_a_pod_that_cannot_start(
    airflow: Airflow, faults: str, namespace: str, task: str, tries: int, message: str
) -> None:
    attempt = airflow.attempt("faults", faults, task)
    assert (attempt.state, attempt.number) == ("failed", tries)
    assert re.search(message.replace("{ns}", namespace), attempt.text), attempt.text
    # Bounded: by the time that a pod has to start, and much air for a busy machine.
    assert airflow.instance("faults", faults, task)["duration"] < START_SECONDS + 300
