"""The runtime on a cluster in memory: states in, drivers and messages out. tests/kubernetes has it on a real one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes_stand_ins import ClusterStandIn, cluster_config, ended, pod, stamp, waiting

from shopstream.config import Config
from shopstream.pods.spark_application import DRIVER_CONTAINER, DRIVER_POD, EXECUTOR_CONTAINER
from shopstream.runtimes import kubernetes_stream as module
from shopstream.runtimes import stream_runtime
from shopstream.runtimes.base import Driver, JobRuntimeError
from shopstream.runtimes.kubernetes_stream import KubernetesStreamRuntime
from shopstream.streaming.health import Heartbeat

CONFIG = replace(
    Config.from_env({"MONGODB_URI": "mongodb://127.0.0.1/shopstream"}), runtime="kubernetes", cluster=cluster_config()
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> ClusterStandIn:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    return ClusterStandIn()


@pytest.fixture
def runtime(cluster: ClusterStandIn) -> KubernetesStreamRuntime:
    return KubernetesStreamRuntime(CONFIG, cluster)


def moment(seconds: float) -> datetime:
    return datetime.fromisoformat(stamp(seconds))


def heartbeat(seconds: float, host: str = DRIVER_POD) -> Heartbeat:
    return Heartbeat(27, host, "running", None, "cafe", moment(seconds), moment(seconds))


def running(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    runtime.launch("cafe")
    cluster.start_driver(5)
    cluster.state("RUNNING", lastSubmissionAttemptTime=stamp(2))


def test_an_unknown_application_is_no_driver(runtime: KubernetesStreamRuntime) -> None:
    assert runtime.find(None) is None


def test_a_launch_creates_what_is_found_then(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    driver = runtime.launch("cafe")
    assert cluster.calls == ["create"]
    assert cluster.app
    assert cluster.app["metadata"]["annotations"]["shopstream/config-hash"] == "cafe"
    assert driver.started_at == moment(0)
    assert driver.wrote(heartbeat(9))
    found = runtime.find(None)
    assert found
    assert found.name == "SparkApplication shop/shopstream-stream, not taken up by an operator yet"
    assert found.started_at == moment(0)


def test_a_running_driver_is_its_pod(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    running(cluster, runtime)
    driver = runtime.find(heartbeat(9))
    assert driver
    assert (driver.name, driver.started_at) == (f"pod shop/{DRIVER_POD}", moment(5))
    assert driver.wrote(heartbeat(9))
    assert driver.wrote(heartbeat(3)), "the two clocks may differ by a little"
    assert not driver.wrote(heartbeat(-60)), "an earlier driver's, in a pod of the same name"
    assert not driver.wrote(heartbeat(9, host="laptop"))


def test_a_process_is_known_by_its_id() -> None:
    driver = Driver("process 27", moment(0), pid=27)
    assert driver.wrote(heartbeat(-60))
    assert not replace(driver, pid=28).wrote(heartbeat(9))


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "SUSPENDED"])
def test_an_application_that_nobody_restarts_is_no_driver(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime, state: str
) -> None:
    running(cluster, runtime)
    cluster.state(state, "driver container failed with ExitCode: 2")
    assert runtime.find(heartbeat(9)) is None
    # The next launch removes it first.
    runtime.launch("cafe")
    assert cluster.calls == ["create", "delete", "create"]


def test_an_application_that_is_being_deleted_is_no_driver(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime
) -> None:
    running(cluster, runtime)
    assert cluster.app
    cluster.app["metadata"]["deletionTimestamp"] = stamp(20)
    assert runtime.find(None) is None


@pytest.mark.parametrize(
    ("state", "status", "since"),
    [
        ("SUBMITTED", {"lastSubmissionAttemptTime": stamp(30)}, 30),
        ("FAILING", {"lastSubmissionAttemptTime": stamp(30), "terminationTime": stamp(50)}, 50),
        ("SUBMISSION_FAILED", {"lastSubmissionAttemptTime": stamp(30)}, 30),
        ("A_STATE_OF_TOMORROW", {"terminationTime": stamp(50)}, 50),
    ],
)
def test_the_operator_gets_time_for_the_next_driver(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime, state: str, status: dict[str, Any], since: float
) -> None:
    running(cluster, runtime)
    cluster.driver = None
    cluster.state(state, **status)
    driver = runtime.find(heartbeat(9))
    assert driver
    assert driver.started_at == moment(since)
    assert state in driver.name


def test_a_pod_that_has_just_gone_is_on_its_way_back(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    running(cluster, runtime)
    for gone in (None, pod("Failed", ended(137), name=DRIVER_POD, container=DRIVER_CONTAINER)):
        cluster.driver = gone
        driver = runtime.find(heartbeat(9))
        assert driver
        assert datetime.now(UTC) - driver.started_at < timedelta(minutes=1)
        assert not driver.wrote(heartbeat(9))


def test_an_application_about_to_be_submitted_again_has_all_its_time(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime
) -> None:
    running(cluster, runtime)
    cluster.driver = None
    cluster.state("PENDING_RERUN", lastSubmissionAttemptTime=stamp(30), terminationTime=None)
    driver = runtime.find(heartbeat(9))
    assert driver
    assert datetime.now(UTC) - driver.started_at < timedelta(minutes=1)
    assert not runtime.wait(driver, 0.01)


def test_a_failed_attempt_ends_the_wait(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    driver = runtime.launch("cafe")
    assert not runtime.wait(driver, 0.01)
    cluster.state("RUNNING", lastSubmissionAttemptTime=stamp(2))
    assert not runtime.wait(driver, 0.01)
    for state in ("SUBMISSION_FAILED", "FAILING", "PENDING_RERUN", "FAILED"):
        cluster.state(state, lastSubmissionAttemptTime=stamp(2))
        assert runtime.wait(driver, 5)


def test_the_failure_before_is_not_that_of_the_next_attempt(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime
) -> None:
    running(cluster, runtime)
    cluster.driver = None
    status = {"lastSubmissionAttemptTime": stamp(30), "terminationTime": stamp(50)}
    cluster.state("FAILING", **status)
    driver = runtime.find(None)
    assert driver
    assert not runtime.wait(driver, 0.01)
    cluster.state("FAILING", **status | {"lastSubmissionAttemptTime": stamp(60)})
    assert runtime.wait(driver, 5)


def test_an_application_that_somebody_deletes_has_ended(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime
) -> None:
    driver = runtime.launch("cafe")
    cluster.app = None
    assert runtime.wait(driver, 5)


def test_no_application_is_created_while_a_pod_of_the_last_one_lives(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime
) -> None:
    running(cluster, runtime)
    lives = iter(range(5))

    def on_poll() -> None:
        if cluster.app is None and next(lives, None) is None:
            cluster.delete_pods()

    cluster.on_delete, cluster.on_poll = lambda: None, on_poll
    cluster.on_create = lambda: seen.append(cluster.driver)
    seen: list[Mapping[str, Any] | None] = []
    driver = runtime.find(None)
    assert driver
    assert "finished its work" in runtime.stop(driver, 30)
    runtime.launch("beef")
    assert seen == [None]


def test_a_driver_that_does_not_end_is_killed_and_never_doubled(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLEAN_UP_SECONDS", 0.05)
    running(cluster, runtime)
    cluster.on_delete = lambda: None
    driver = runtime.find(None)
    assert driver
    with pytest.raises(JobRuntimeError, match=rf"pod shop/{DRIVER_POD} on node node-1: does the node answer"):
        runtime.stop(driver, 0.01)
    assert cluster.calls == ["create", "delete", f"end {DRIVER_POD}"]
    with pytest.raises(JobRuntimeError, match="no second driver"):
        KubernetesStreamRuntime(replace(CONFIG, stream=replace(CONFIG.stream, stop_seconds=0)), cluster).launch("cafe")
    assert "create" not in cluster.calls[1:]


def test_a_slow_driver_is_said_to_be_killed(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLEAN_UP_SECONDS", 30)
    running(cluster, runtime)
    asked = iter(range(50))
    cluster.on_delete = lambda: None
    cluster.on_poll = lambda: cluster.delete_pods() if cluster.app is None and next(asked, None) is None else None
    driver = runtime.find(None)
    assert driver
    assert "was killed" in runtime.stop(driver, 0.001)


def test_last_words_of_a_driver_that_failed(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    running(cluster, runtime)
    cluster.driver = pod("Failed", ended(2), name=DRIVER_POD, container=DRIVER_CONTAINER)
    cluster.state("FAILING", "driver container failed with ExitCode: 2, Reason: Error")
    cluster.log = [
        "error: MONGODB_URI=mongodb://u:p@h is no connection string",
        'Exception in thread "main" org.apache.spark.SparkUserAppException: User application exited with 2',
        "26/01/31 12:00:00 INFO ShutdownHookManager: Shutdown hook called",
    ]
    words = runtime.last_words()
    assert words[0].endswith("FAILING: driver container failed with ExitCode: 2, Reason: Error")
    assert words[-1] == "MONGODB_URI=mongodb://***:***@h is no connection string"
    assert len(words) == 5


def test_last_words_outlive_the_pod(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    driver = runtime.launch("cafe")
    cluster.driver = pod("Failed", ended(2), name=DRIVER_POD, container=DRIVER_CONTAINER)
    cluster.state("FAILING", "failed", lastSubmissionAttemptTime=stamp(2))
    cluster.log = ["error: no such topic"]
    assert runtime.wait(driver, 5)
    cluster.driver, cluster.log = None, []
    cluster.state("PENDING_RERUN")
    assert runtime.last_words()[-1] == "no such topic"


def test_last_words_of_a_submission_that_failed(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    runtime.launch("cafe")
    trace = (
        "failed to submit spark application: failed to run spark-submit: WARNING: Using incubator modules\n"
        'Exception in thread "main" io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: POST at'
        ': https://10.96.0.1/api. Message: pods "x" is forbidden: exceeded quota: none, limited: 0. Received status: '
        "Status(apiVersion=v1)\n\tat io.fabric8.kubernetes(X.java:1)\n"
    )
    prefix = "SparkApplication shopstream-stream: SUBMISSION_FAILED: "
    for text, cause in (
        (trace, 'pods "x" is forbidden: exceeded quota: none, limited: 0'),
        ('Exception in thread "main" a.b.SparkException: No such file\n\tat x', "No such file"),
        ("driver pod already exist", "driver pod already exist"),
    ):
        cluster.state("SUBMISSION_FAILED", text)
        assert runtime.last_words() == [prefix + cause]


def test_last_words_of_a_driver_that_never_started(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    running(cluster, runtime)
    cluster.state("SUBMITTED")
    cluster.driver = pod(
        "Pending", waiting("ErrImageNeverPull", "not present"), name=DRIVER_POD, container=DRIVER_CONTAINER
    )
    assert runtime.last_words() == [
        f"pod shop/{DRIVER_POD} has not started: ErrImageNeverPull: not present (image spark:1)"
    ]


def test_last_words_of_a_driver_out_of_memory(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    running(cluster, runtime)
    cluster.driver = pod("Failed", ended(137, "OOMKilled"), name=DRIVER_POD, container=DRIVER_CONTAINER)
    assert runtime.last_words()[-1].endswith("was killed for its memory: more than its limit of 2Gi")


def test_last_words_without_an_operator(cluster: ClusterStandIn, runtime: KubernetesStreamRuntime) -> None:
    assert runtime.last_words() == ["(there is no driver pod)"]
    runtime.launch("cafe")
    assert runtime.last_words() == [
        "SparkApplication shopstream-stream: no state: is the spark-operator running, and does it watch this namespace?"
    ]


def test_executors_that_wait_are_told_of(
    cluster: ClusterStandIn, runtime: KubernetesStreamRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    running(cluster, runtime)
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    cluster.executors = [pod("Pending", name="exec-1", container=EXECUTOR_CONTAINER, conditions=conditions)]
    assert runtime.find(None)
    assert "Executor pod shop/exec-1 waits: no node takes it: 0/1 nodes are available" in caplog.text


def test_the_runtime_is_chosen_by_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_connected", lambda _config: ClusterStandIn())
    assert isinstance(stream_runtime(CONFIG), KubernetesStreamRuntime)
