"""The streaming application's life on a cluster: a real API, real pods, Spark's own submission; stand-ins for the
spark-operator (`operator_stand_in.py`) and for the application. Runs in Airflow's environment.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kubernetes.cluster import REPOSITORY, Cluster, kit
from tests.kubernetes.images import BASE
from tests.kubernetes.runtime_cluster import (
    configure,
    connection,
    finished,
    kubeconfig_of,
    pods,
    provide,
    running_operator,
    state,
    use_up_quota,
)
from tests.stack import wait_for

pytest.importorskip("airflow", reason="the plugins need Airflow's environment")
sys.path.insert(0, str(REPOSITORY / "tests" / "unit" / "plugins"))

import airflow_for_tests

airflow_for_tests.set_up()

from shopstream.config import Config  # noqa: E402
from shopstream.pods import api  # noqa: E402
from shopstream.pods.spark_application import DRIVER_POD, NAME  # noqa: E402
from shopstream.runtimes.base import JobRuntimeError  # noqa: E402
from shopstream.runtimes.kubernetes_stream import KubernetesStreamRuntime  # noqa: E402

IMAGE = "shopstream-test-stream:1"
OTHER_IMAGE = "shopstream-test-stream:2"
DOCKERFILE = f"""
FROM {BASE}
COPY stream.py /opt/shopstream/spark_jobs/jobs/stream.py
USER 185:0
ENTRYPOINT ["sh", "-c", "python3 /opt/shopstream/spark_jobs/jobs/stream.py & wait $!", "entry-point"]
"""

Runtime = Callable[..., KubernetesStreamRuntime]


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """An image in which Spark's driver is only the stand-in for the application; two tags of it."""
    kit("base-image", BASE)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(__file__).with_name("runtime_stand_in_stream.py").read_text()
        Path(folder, "stream.py").write_text(script)
        Path(folder, "Dockerfile").write_text(DOCKERFILE)
        for name in (IMAGE, OTHER_IMAGE):
            kit("build", "-t", name, folder)
    kit("load", IMAGE, OTHER_IMAGE)
    return IMAGE


@pytest.fixture(scope="module")
def operator(cluster: Cluster, namespace: str, image: str) -> Iterator[None]:
    """The stand-in for the operator, at work in the namespace."""
    provide(cluster, namespace)
    with running_operator(cluster, namespace):
        yield


@pytest.fixture
def runtime(
    cluster: Cluster, namespace: str, image: str, operator: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    """Makes runtimes, as each run of the DAG does; in the end nothing of the application is left."""
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", connection(kube_config_path=str(cluster.kubeconfig)))
    env = {
        "MONGODB_URI": "mongodb://user:word@host/db",
        "SHOPSTREAM_RUNTIME": "kubernetes",
        "SHOPSTREAM_NAMESPACE": namespace,
        "SHOPSTREAM_SPARK_IMAGE": image,
        "SHOPSTREAM_IMAGE_PULL_POLICY": "Never",
        "SHOPSTREAM_STREAM_STOP_SECONDS": "20",
        "SHOPSTREAM_POD_RESOURCES": json.dumps({"stream_driver": {"cpu": "50m", "memory": "768Mi"}}),
    }

    def make(**changed: str) -> KubernetesStreamRuntime:
        return KubernetesStreamRuntime(Config.from_env(env | changed))

    configure(cluster, namespace, "run")
    yield make
    cluster.kubectl("delete", "sparkapplication", NAME, "-n", namespace, "--ignore-not-found")
    wait_for(lambda: not pods(cluster, namespace), 60, "the end of all pods")


def test_a_driver_is_launched_found_and_stopped_in_good_order(
    runtime: Runtime, cluster: Cluster, namespace: str
) -> None:
    assert runtime().find(None) is None
    driver = runtime().launch("cafe")
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 90, "a running driver")
    found = runtime().find(None)
    assert found
    assert found.name == f"pod {namespace}/{DRIVER_POD}"
    assert found.started_at >= driver.started_at
    assert not runtime().wait(found, 1)
    words = ["stand-in for the stream as 185, launched with cafe"]
    wait_for(lambda: runtime().last_words() == words, 30, "the first words")
    assert "finished its work and ended" in runtime().stop(found, 20)
    assert pods(cluster, namespace) == []
    assert runtime().find(None) is None
    assert finished(cluster, namespace, IMAGE)[-1] == "cafe"


def test_the_driver_is_locked_down_and_owned(runtime: Runtime, cluster: Cluster, namespace: str) -> None:
    runtime().launch("cafe")
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 90, "a running driver")
    pod = cluster.get("pod", DRIVER_POD, "-n", namespace)
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["securityContext"]["runAsUser"] == 185
    assert pod["spec"]["serviceAccountName"] == "shopstream-spark-driver"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "SparkApplication"
    assert pod["metadata"]["annotations"]["prometheus.io/path"] == "/metrics/prometheus"
    assert container["resources"]["limits"]["memory"] == "768Mi"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 20
    names = {one["name"] for one in container["env"]}
    assert {"MONGODB_URI", "SHOPSTREAM_CONFIG_HASH", "SHOPSTREAM_SPARK_MASTER"} <= names


def test_a_deleted_driver_comes_back(runtime: Runtime, cluster: Cluster, namespace: str) -> None:
    runtime().launch("cafe")
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 90, "a running driver")
    first = cluster.get("pod", DRIVER_POD, "-n", namespace)["metadata"]["uid"]
    cluster.kubectl("delete", "pod", DRIVER_POD, "-n", namespace, "--grace-period=1")
    between = runtime().find(None)
    assert between, "the operator is seeing to the next one"
    assert not runtime().wait(between, 1)

    def is_back() -> bool:
        found = [pod for pod in pods(cluster, namespace) if pod["metadata"]["name"] == DRIVER_POD]
        return bool(found) and found[0]["metadata"]["uid"] != first and state(cluster, namespace) == "RUNNING"

    wait_for(is_back, 90, "the next driver")
    found = runtime().find(None)
    assert found
    assert found.started_at >= between.started_at


def test_another_image_replaces_the_driver_and_there_are_never_two(
    runtime: Runtime, cluster: Cluster, namespace: str
) -> None:
    runtime().launch("cafe")
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 90, "a running driver")
    first = cluster.get("pod", DRIVER_POD, "-n", namespace)
    # Without `stop`: a launch sees to it itself.
    runtime(SHOPSTREAM_SPARK_IMAGE=OTHER_IMAGE).launch("beef")
    assert first["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in pods(cluster, namespace)}
    assert finished(cluster, namespace, IMAGE)[-1] == "cafe", "it had ended before the next one was created"
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 90, "the next driver")
    second = cluster.get("pod", DRIVER_POD, "-n", namespace)
    assert second["spec"]["containers"][0]["image"] == OTHER_IMAGE
    application = cluster.get("sparkapplication", NAME, "-n", namespace)
    assert application["metadata"]["annotations"] == {
        "shopstream/config-hash": "beef",
        "shopstream/image": OTHER_IMAGE,
    }


def test_a_driver_that_fails_is_told_of(runtime: Runtime, cluster: Cluster, namespace: str) -> None:
    configure(cluster, namespace, "fail")
    made = runtime()
    assert made.wait(made.launch("cafe"), 90)
    # The operator tries again and again; while the next pod is starting there is something else to tell.
    said, failing = "no topic of that name mongodb://***:***@host", "FAILING: driver container failed with ExitCode: 2"
    wait_for(lambda: made.last_words()[-1] == said, 90, "what the driver said")
    wait_for(lambda: any(failing in word for word in made.last_words()), 90, "what the operator says")
    configure(cluster, namespace, "run")
    wait_for(lambda: state(cluster, namespace) == "RUNNING", 150, "the operator's next attempt")


def test_a_missing_image_is_told_of(runtime: Runtime) -> None:
    driver = runtime(SHOPSTREAM_SPARK_IMAGE="shopstream-missing:1").launch("cafe")
    cause = "ErrImageNeverPull: .* \\(image shopstream-missing:1\\)"
    wait_for(lambda: bool(re.search(cause, runtime().last_words()[-1])), 90, "the driver's pod")
    assert not runtime().wait(driver, 1), "it may still come"


def test_a_used_up_quota_is_told_of(runtime: Runtime, cluster: Cluster, namespace: str) -> None:
    use_up_quota(cluster, namespace)
    try:
        driver = runtime().launch("cafe")
        assert runtime().wait(driver, 90)
        (words,) = runtime().last_words()[:1]
        assert re.search(r": SUBMISSION_FAILED: pods \"\S+-driver\" is forbidden: exceeded quota: none", words), words
        assert "\n" not in words
    finally:
        cluster.kubectl("delete", "resourcequota", "none", "-n", namespace)


def test_a_missing_right_names_account_and_object(
    runtime: Runtime, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = kubeconfig_of(cluster, namespace, "stranger")
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", connection(kube_config=stranger))
    message = rf"reading SparkApplication {namespace}/{NAME}: forbidden: .*system:serviceaccount:{namespace}:stranger"
    with pytest.raises(JobRuntimeError, match=message):
        runtime().find(None)


def test_a_cluster_without_the_kind_says_what_to_install(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kind of the tests' cluster is shared: a kind that is surely not there answers the same.
    monkeypatch.setattr(api, "PLURAL", "sparkcontraptions")
    with pytest.raises(JobRuntimeError, match=r"knows no SparkApplication .*: install the spark-operator"):
        runtime().launch("cafe")


def test_an_unknown_field_is_refused(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runtime()
    made._config = replace(made._config, pull_policy="Never")
    monkeypatch.setattr(
        "shopstream.runtimes.kubernetes_stream.spark_application",
        lambda *_: {
            "apiVersion": "sparkoperator.k8s.io/v1beta2",
            "kind": "SparkApplication",
            "metadata": {"name": NAME},
            "spec": {
                "type": "Python",
                "sparkVersion": "4",
                "mainApplicationFile": "local:///x",
                "driver": {"core": 1},
                "executor": {},
            },
        },
    )
    with pytest.raises(JobRuntimeError, match=r'unknown field "spec\.driver\.core"'):
        made.launch("cafe")
