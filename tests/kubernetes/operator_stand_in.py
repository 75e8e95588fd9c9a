"""A small stand-in for the spark-operator, whose image the test machines cannot get. Not for production.

    KUBECONFIG=... python -m tests.kubernetes.operator_stand_in --namespace NAME --spark-submit PATH

It acts on every SparkApplication (`crd.yaml`) of one namespace as the operator does, as far as the platform relies on
it: submits it with `spark-submit --deploy-mode cluster`, the pod templates owned by the application; names the driver's
pod after it; writes the documented states to its status; restarts it by its restart policy, with the documented
intervals, and only when the last driver's pod is gone. A deleted application's pods are collected by Kubernetes itself.
Needs the `kubernetes` package (Airflow's environment) and a Spark.
"""

from __future__ import annotations

import argparse
import copy
import logging
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.operator_submission import GROUP, VERSION, Application, arguments

PLURAL = "sparkapplications"
POLL_SECONDS = 0.5

# From the submission until the driver's pod must be there.
POD_CREATION_SECONDS = 10.0

log = logging.getLogger("operator stand-in")


class Operator:
    """Looks after the applications of a namespace.

    Args:
        namespace: The namespace.
        spark_submit: Spark's command.
    """

    def __init__(self, namespace: str, spark_submit: Path) -> None:
        config.load_kube_config()
        self._namespace = namespace
        self._submit_command = spark_submit
        self._custom = client.CustomObjectsApi()
        self._core = client.CoreV1Api()
        self._server = client.Configuration.get_default_copy().host

    def run(self) -> None:
        """Look after them until this process is ended."""
        while True:
            listed = self._custom.list_namespaced_custom_object(GROUP, VERSION, self._namespace, PLURAL)
            for application in listed["items"]:
                try:
                    self._reconcile(application)
                except ApiException as error:
                    if error.status not in (404, 409):  # deleted or changed meanwhile: the next round sees it
                        raise
            time.sleep(POLL_SECONDS)

    def _reconcile(self, application: Application) -> None:
        status = application.setdefault("status", {})
        state = status.setdefault("applicationState", {}).get("state", "")
        before = copy.deepcopy(status)
        if application["metadata"].get("deletionTimestamp"):
            return
        if state == "" or (state == "PENDING_RERUN" and self._driver(application) is None):
            self._submit(application)
        elif state in ("SUBMITTED", "RUNNING", "UNKNOWN"):
            self._follow(application)
        elif state in ("FAILING", "SUCCEEDING", "SUBMISSION_FAILED"):
            self._restart(application)
        if status != before:
            self._write(application)

    def _write(self, application: Application) -> None:
        name, status = application["metadata"]["name"], application["status"]
        log.info("%s: %s", name, status["applicationState"])
        # All of it: fields that are gone are gone.
        self._custom.replace_namespaced_custom_object_status(
            GROUP, VERSION, self._namespace, PLURAL, name, {**application, "status": {"driverInfo": {}, **status}}
        )

    def _submit(self, application: Application) -> None:
        """Submit the application, and record how that went."""
        status = application["status"]
        status |= {
            "submissionID": str(uuid.uuid4()),
            "driverInfo": {"podName": f"{application['metadata']['name']}-driver"},
            "lastSubmissionAttemptTime": _now(),
            "submissionAttempts": status.get("submissionAttempts", 0) + 1,
        }
        with tempfile.TemporaryDirectory() as folder:
            command = [str(self._submit_command), *arguments(application, self._server, Path(folder))]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            error = f"failed to submit spark application: failed to run spark-submit: {done.stderr}"
            status["applicationState"] = {"state": "SUBMISSION_FAILED", "errorMessage": error}
            return
        status["applicationState"] = {"state": "SUBMITTED"}
        status["executionAttempts"] = status.get("executionAttempts", 0) + 1

    def _follow(self, application: Application) -> None:
        """Derive the application's state from its driver's pod."""
        status = application["status"]
        pod = self._driver(application)
        if pod is None:
            waited = (datetime.now(UTC) - _time(status["lastSubmissionAttemptTime"])).total_seconds()
            if status["applicationState"]["state"] == "SUBMITTED" and waited < POD_CREATION_SECONDS:
                return
            status["applicationState"] = {"state": "FAILING", "errorMessage": "driver pod not found"}
            status["terminationTime"] = _now()
            return
        state, message = driver_state(pod)
        if state in ("SUCCEEDING", "FAILING"):
            status["terminationTime"] = _now()
        status["applicationState"] = {"state": state} | ({"errorMessage": message} if message else {})
        status["executorState"] = self._executors(application)

    def _restart(self, application: Application) -> None:
        """Prepare the next run, when the restart policy wants one and its time has come."""
        spec, status = application["spec"], application["status"]
        state, policy = status["applicationState"]["state"], spec.get("restartPolicy", {})
        if policy.get("type") != "Always":
            status["applicationState"]["state"] = "COMPLETED" if state == "SUCCEEDING" else "FAILED"
            return
        interval = {"FAILING": "onFailureRetryInterval", "SUBMISSION_FAILED": "onSubmissionFailureRetryInterval"}
        if state in interval:
            seconds = policy.get(interval[state])
            since = (datetime.now(UTC) - _time(status["lastSubmissionAttemptTime"])).total_seconds()
            # Without an interval the operator reports an error, and does nothing.
            if seconds is None or since < seconds * status["submissionAttempts"]:
                return
        if state == "SUBMISSION_FAILED":
            self._submit(application)
            return
        self._delete_driver(application)
        for name in ("terminationTime", "executorState", "sparkApplicationId"):
            status.pop(name, None)
        status |= {"applicationState": {"state": "PENDING_RERUN"}, "driverInfo": {}}

    def _driver(self, application: Application) -> client.V1Pod | None:
        try:
            return self._core.read_namespaced_pod(f"{application['metadata']['name']}-driver", self._namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _delete_driver(self, application: Application) -> None:
        try:
            self._core.delete_namespaced_pod(f"{application['metadata']['name']}-driver", self._namespace)
        except ApiException as error:
            if error.status != 404:
                raise

    def _executors(self, application: Application) -> dict[str, str]:
        labels = f"sparkoperator.k8s.io/app-name={application['metadata']['name']},spark-role=executor"
        pods = self._core.list_namespaced_pod(self._namespace, label_selector=labels).items
        phases = {"Succeeded": "COMPLETED"}
        return {pod.metadata.name: phases.get(pod.status.phase, pod.status.phase.upper()) for pod in pods}


def driver_state(pod: client.V1Pod) -> tuple[str, str]:
    """Return what the driver's pod makes of the application: state, and message."""
    statuses = pod.status.container_statuses or []
    ended = next((one.state.terminated for one in statuses if one.name == "spark-kubernetes-driver"), None)
    if ended and ended.exit_code == 0:
        return "SUCCEEDING", ""
    if ended or pod.status.phase == "Failed":
        detail = f"failed with ExitCode: {ended.exit_code}, Reason: {ended.reason}" if ended else "status missing"
        return "FAILING", f"driver container {detail}"
    return {"Pending": "SUBMITTED", "Running": "RUNNING"}.get(pod.status.phase, "UNKNOWN"), ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def main() -> int:
    """Run the stand-in until it is ended; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True, help="whose SparkApplications to look after")
    parser.add_argument("--spark-submit", required=True, type=Path, help="the command of the images' Spark version")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        Operator(options.namespace, options.spark_submit).run()
    except (config.ConfigException, ApiException, OSError) as error:
        print(f"error: {str(error).splitlines()[0]} (KUBECONFIG names the cluster)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
