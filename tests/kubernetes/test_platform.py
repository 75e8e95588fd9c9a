"""The platform as it is in production, on pods from end to end: Airflow with the KubernetesExecutor drives every DAG.

Kafka (TLS, a user with the rights of helm-values/kafka.yaml) and the document store run on this machine; a stand-in
acts for the spark-operator. Tests build on each other, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import Images
from tests.kubernetes.platform_up import DRIVER, EVENTS, GENERATOR, Platform, running_platform
from tests.kubernetes.runtime_cluster import KIND, running_operator
from tests.stack import wait_for

LIFECYCLE, TASK = "streaming_lifecycle", "streaming_application"
AS_OF = "2019-10-31T00:00:00Z"
EXECUTOR, JOB = "spark-role=executor", "app.kubernetes.io/component=job"

# Asks the API with the pod's own token for what the arguments name.
ASK = """
import ssl, sys, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
trust = ssl.create_default_context(cafile=folder + "ca.crt")
for path in sys.argv[1:]:
    request = urllib.request.Request("https://kubernetes.default.svc" + path)
    request.add_header("Authorization", "Bearer " + open(folder + "token").read())
    try:
        print(urllib.request.urlopen(request, context=trust).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture(scope="module")
def platform(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Everything but the stream. The cluster does not know the kind SparkApplication yet."""
    cluster.kubectl("delete", KIND, "--ignore-not-found")
    with running_platform(cluster, images, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture(scope="module")
def first_run(platform: Platform) -> str:
    """The first scheduled run of the lifecycle DAG; its first try finds no operator."""
    platform.unpause(LIFECYCLE)
    wait_for(lambda: bool(platform.airflow.api.runs(LIFECYCLE)), 60, "the first run")
    return str(platform.airflow.api.runs(LIFECYCLE)[-1]["dag_run_id"])


@pytest.fixture(scope="module")
def streaming(platform: Platform, first_run: str) -> Iterator[None]:
    """The stream, launched by the DAG once there is an operator."""
    with running_operator(platform.cluster, platform.namespace):
        platform.await_run(LIFECYCLE, first_run)
        yield
        platform.unpause(LIFECYCLE, paused=True)
        platform.cluster.kubectl("delete", "sparkapplication", "--all", "-n", platform.namespace)


def position(platform: Platform) -> int:
    """Records of the topic that the stream has processed."""
    return sum(heartbeat(platform).get("end_offsets", {}).values())


def heartbeat(platform: Platform) -> dict[str, Any]:
    return platform.servers.db["stream_health"].find_one({"_id": "driver"}) or {}


def has_failed(instance: dict[str, Any]) -> bool:
    return instance["state"] in ("up_for_retry", "failed")


def driver_uid(platform: Platform) -> str:
    found = platform.pods(DRIVER)
    return str(found[0]["metadata"]["uid"]) if found else ""


def test_the_account_of_airflow_reads_no_secret(platform: Platform) -> None:
    other, own = "/api/v1/namespaces/kube-system/secrets", f"/api/v1/namespaces/{platform.namespace}/secrets"
    pods = f"/api/v1/namespaces/{platform.namespace}/pods"
    asked = [other, own, f"{own}/shopstream-secrets", "/api/v1/namespaces/kube-system/pods", pods]
    command = ("exec", "-n", platform.namespace, "deployment/airflow-scheduler", "--", "python", "-c", ASK, *asked)
    assert platform.cluster.kubectl(*command).split() == ["403", "403", "403", "403", "200"]


def test_a_task_says_that_there_is_no_operator(platform: Platform, first_run: str) -> None:
    instance = platform.airflow.await_task(LIFECYCLE, first_run, TASK, has_failed)
    assert instance["duration"] < 60
    text = "\n".join(message for _, message in platform.airflow.log(LIFECYCLE, first_run, TASK))
    assert f"SparkApplication {platform.namespace}/shopstream-stream: this cluster knows no SparkApplication" in text
    assert "install the spark-operator" in text


def test_dimensions_are_seeded_by_a_pod(platform: Platform) -> None:
    platform.unpause("seed_dimensions")
    run_id = platform.run_dag("seed_dimensions", {"file": f"{platform.data_dir}/{EVENTS}"})
    metrics = platform.airflow.api.result("seed_dimensions", run_id, "seed_dimensions")
    assert metrics["users"] == platform.servers.db["users"].count_documents({}) > 0


@pytest.mark.usefixtures("streaming")
def test_the_next_try_launches_driver_and_executor(platform: Platform, first_run: str) -> None:
    assert platform.airflow.instance(LIFECYCLE, first_run, TASK)["try_number"] == 2
    (driver,), (executor,) = platform.pods(DRIVER), platform.pods(EXECUTOR)
    assert driver["status"]["phase"] == executor["status"]["phase"] == "Running"
    assert driver["spec"]["serviceAccountName"] == "shopstream-spark-driver"


@pytest.mark.usefixtures("streaming")
def test_a_pod_out_of_memory_names_its_limit_and_the_retry_succeeds(platform: Platform) -> None:
    def running() -> list[str]:
        return [
            str(run["dag_run_id"]) for run in platform.airflow.api.runs("data_quality") if run["state"] == "running"
        ]

    with platform.leaking("validate"):
        platform.resize({"validate": {"memory": "128Mi"}})
        platform.unpause("data_quality")
        platform.airflow.api.trigger("data_quality", {"collections": ["users"]})
        # The scheduled run of the last hour may be before the one just asked for; one runs at a time.
        wait_for(lambda: bool(running()), 60, "a run")
        (run_id,) = running()
        platform.airflow.await_task("data_quality", run_id, "validate", has_failed, seconds=300)
    platform.resize({})
    text = "\n".join(message for _, message in platform.airflow.log("data_quality", run_id, "validate"))
    assert "job validate was killed for its memory: more than its limit of 128Mi" in text
    ended = platform.airflow.await_task(
        "data_quality", run_id, "validate", lambda one: one["state"] in ("success", "failed"), seconds=300
    )
    assert (ended["state"], ended["try_number"]) == ("success", 2)
    platform.unpause("data_quality", paused=True)


@pytest.mark.usefixtures("streaming")
def test_a_deleted_driver_comes_back_and_every_document_is_exact(platform: Platform) -> None:
    platform.unpause("replay_events")
    # Half a minute of events, so that the driver goes while they come.
    conf = {"file": f"{platform.data_dir}/{EVENTS}", "rate": 400}
    run_id = platform.airflow.api.trigger("replay_events", conf)
    wait_for(lambda: position(platform) > 2000, 180, "the first events")
    first, begun = driver_uid(platform), time.monotonic()
    pod = platform.pods(DRIVER)[0]["metadata"]["name"]
    platform.cluster.kubectl("delete", "pod", pod, "-n", platform.namespace, "--grace-period=1", "--wait=false")
    platform.await_run("replay_events", run_id)

    def is_back() -> bool:
        # The first one may have had the time to say that its Spark was ended.
        return driver_uid(platform) not in ("", first) and heartbeat(platform)["state"] != "failed"

    wait_for(is_back, 300, "the next driver")
    drained = platform.spark_side("spark_jobs.jobs.await_stream", "--timeout", "300")
    assert drained.returncode == 0, drained.stderr
    print(f"drained {time.monotonic() - begun:.0f} s after the driver was deleted")
    compared = platform.spark_side("tests.kubernetes.platform_compare", str(platform.events))
    assert compared.returncode == 0, compared.stdout + compared.stderr[-3000:]
    assert f"{int(GENERATOR[GENERATOR.index('--events') + 1])} records" in compared.stdout


@pytest.mark.usefixtures("streaming")
def test_training_runs_as_pods(platform: Platform) -> None:
    platform.unpause("train_models")
    run_id = platform.run_dag("train_models", {"as_of": AS_OF}, seconds=1800)
    api, db = platform.airflow.api, platform.servers.db
    states = api.task_states("train_models", run_id)
    assert len(states) == 12
    assert {states.pop(task) for task in ("approve", "promote_by_hand")} == {"skipped"}
    assert set(states.values()) == {"success"}
    users = api.result("train_models", run_id, "features")["documents"]
    assert users == db["user_feature_engineering"].count_documents({}) > 100
    assert db["churn_predictions"].count_documents({}) > 100
    text = platform.airflow.attempt("train_models", run_id, "churn").text
    assert "was interrupted" not in text, text
    assert "python -m spark_jobs.jobs.churn" in text
    assert "mongodb://" not in text.replace("mongodb://***", "")
    wait_for(lambda: not platform.pods(JOB), 60, "the end of the jobs' pods")


@pytest.mark.usefixtures("streaming")
def test_training_on_this_machine_writes_what_pods_have_written(platform: Platform, tmp_path: Path) -> None:
    def trained() -> dict[str, dict[str, Any]]:
        return {one["model"]: one for one in platform.servers.db["model_runs"].find({"kind": "run"})}

    by_pods = trained()
    models = ("features", "segments", "churn")
    for job in ("extract_events", *models):
        done = platform.spark_side(f"spark_jobs.jobs.{job}", f"--as-of={AS_OF}", SHOPSTREAM_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    here = trained()
    for model in models:
        assert here[model]["finished_at"] > by_pods[model]["finished_at"]
        for fingerprint in ("data_fingerprint", "output_fingerprint"):
            assert here[model][fingerprint] == by_pods[model][fingerprint], (model, fingerprint)
