"""Batch jobs as pods."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import add_unique_suffix
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.version import version
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException

from shopstream.config import ClusterConfig, Config, ConfigError
from shopstream.joblog import redact
from shopstream.operators.outcome import checked_job, metrics_or_raise
from shopstream.pods.api import CONNECTION, ClusterError, connect, newest_warning, plain_errors
from shopstream.pods.diagnosis import Pod, end_of, is_hopeless, is_lost, waits_for
from shopstream.pods.job_pod import CONTAINER, GRACE_SECONDS, job_pod
from shopstream.pods.parts import PART_OF
from shopstream.pods.remains import remains
from shopstream.triggers.job_pod import JobPodTrigger

log = logging.getLogger(__name__)

# How often a waiting task looks at its pod, and shows what the job has printed.
LOOK_SECONDS = 2.0
SHOW_SECONDS = 5

# A trigger that gives up while its pod goes on is started again so often.
MOST_REDEFERRALS = 3


class PodJobOperator(KubernetesPodOperator):
    """Runs `spark_jobs.jobs.<job>` as a pod; see `SparkJobOperator`.

    The task waits in the triggerer. The pod is found again by a retry where a worker is lost (`durable`), and is
    deleted at the end whatever that was: its output is in the task's log by then.
    """

    BASE_CONTAINER_NAME = CONTAINER
    template_fields: Sequence[str] = ("arguments",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#f5e6d3"

    def __init__(self, *, job: str, arguments: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs = {
            "do_xcom_push": True,
            "deferrable": True,
            "durable": True,
            "poll_interval": LOOK_SECONDS,
            "logging_interval": SHOW_SECONDS,
            "startup_check_interval_seconds": 2,
            "termination_grace_period": GRACE_SECONDS,
            "on_finish_action": "delete_pod",
            "labels": PART_OF,
            **kwargs,
        }
        super().__init__(arguments=list(arguments), kubernetes_conn_id=CONNECTION, **kwargs)
        self.job = checked_job(job)

    def execute(self, context: Context) -> None:
        """Create the pod, or find the one that a lost worker has created, and wait for it in the triggerer."""
        self.namespace = _cluster_config().namespace
        with _explained(f"creating a pod of job {self.job} in namespace {self.namespace}"):
            connect(self.hook)
            self.pod_request_obj = self.build_pod_request_obj(context)
            super().execute(context)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """Return the pod of this task."""
        image = None if dry_run else self.hook.get_xcom_sidecar_container_image()
        manifest = job_pod(
            _cluster_config(),
            self.job,
            [argument for argument in self.arguments if argument],
            name=add_unique_suffix(name=self.job.replace("_", "-")),
            # `airflow kubernetes cleanup-pods` goes by these labels, should a task have had no chance to clean up.
            labels={**self._get_ti_pod_labels(context), "airflow_version": version.replace("+", "-")},
            timeout=self.execution_timeout,
            sidecar_image=image,
        )
        log.info("Command: %s", redact(" ".join(manifest["spec"]["containers"][0]["args"])))
        return PodGenerator.deserialize_model_dict(manifest)

    def find_pod(self, namespace: str, context: Context, *, exclude_checked: bool = True) -> k8s.V1Pod | None:
        """Return the newest pod of an earlier try that is still at work, or None."""
        selector = self._build_find_pod_label_selector(context, exclude_checked=exclude_checked)
        pods = self.client.list_namespaced_pod(namespace=namespace, label_selector=selector).items
        at_work = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        return max(at_work, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def _get_pod_from_task_state_store(self, context: Context) -> k8s.V1Pod | None:
        """Return the pod that an earlier try has noted down, unless it is being deleted: a killed task's is."""
        pod = super()._get_pod_from_task_state_store(context)
        return None if pod is None or pod.metadata.deletion_timestamp else pod

    def invoke_defer_method(self, last_log_time: Any = None, context: Context | None = None) -> None:
        """Wait in the triggerer, which reads the connection itself: no credentials are stored with the task."""
        pod, started = self.pod, context["ti"].start_date if context else None
        patience_to_start = _cluster_config().start_seconds
        assert pod  # noqa: S101  (for mypy: this is called with a pod)
        deadline, patience = {}, None
        if self.execution_timeout and started:
            ends = started + self.execution_timeout
            deadline = {"_execution_deadline": int(ends.timestamp())}
            # The trigger keeps the deadline; the framework's own, which would leave the pod behind, comes later.
            patience = max(ends - datetime.now(UTC), timedelta()) + timedelta(minutes=1)
        trigger = JobPodTrigger(
            pod_name=pod.metadata.name,
            pod_namespace=pod.metadata.namespace,
            base_container_name=self.base_container_name,
            trigger_start_time=datetime.now(UTC),
            kubernetes_conn_id=self.kubernetes_conn_id,
            # Without a connection the triggerer's hook would not think of the cluster that it is in.
            in_cluster=self.hook.is_in_cluster or None,
            poll_interval=self.poll_interval,
            startup_timeout=patience_to_start,
            startup_check_interval=self.startup_check_interval_seconds,
            schedule_timeout=patience_to_start,
            termination_grace_period=self.termination_grace_period,
            last_log_time=last_log_time,
            logging_interval=self.logging_interval,
            log_events_on_startup=self.log_events_on_startup,
            trigger_kwargs={**(self.trigger_kwargs or {}), **deadline},
        )
        self.defer(trigger=trigger, method_name="trigger_reentry", timeout=patience)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Look at the pod that the trigger has waited for; delete it and return the job's metrics.

        Args:
            context: The task's context.
            event: What the trigger has seen; its `status` is `timeout` where a limit was reached.
        """
        with _explained(f"reading pod {event['namespace']}/{event['name']}"):
            self.pod = pod = self._read(event["name"], event["namespace"])
            if pod is None:
                raise AirflowException(
                    f"job {self.job}: its pod {event['namespace']}/{event['name']} is gone: deleted from outside "
                    "(a node drained or lost, or somebody with kubectl)"
                )
            plain = self.client.api_client.sanitize_for_serialization(pod)
            end = end_of(plain, CONTAINER)
            if end is None and _may_go_on(plain, pod, event):
                self._wait_on(event, context)
            try:
                if end is None:
                    raise AirflowException(self._why_not(plain, pod, event))
                outcome = remains(self.job, self.pod_manager, self.client, pod, end, event.get("last_log_time"))
            finally:
                self._discard(pod)
        return metrics_or_raise(self.job, outcome)

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """Create the pod, or find it; a task that was killed meanwhile leaves none behind."""
        self.pod = super().get_or_create_pod(pod_request_obj, context)
        if self._killed:
            self.on_kill()
            raise AirflowException(f"the task was killed while pod {self.pod.metadata.name} was created")
        return self.pod

    def on_kill(self) -> None:
        """Delete the pod when the task is cleared, marked or timed out, also one whose creation is under way."""
        self.pod = self.pod or self.pod_request_obj
        super().on_kill()

    def _wait_on(self, event: dict[str, Any], context: Context) -> None:
        """Have the trigger started again that has given up."""
        log.warning("Waiting for pod %s was interrupted, and goes on: %s", event["name"], event.get("message"))
        self.trigger_kwargs = {"_redefer_count": event.get("_redefer_count", 0) + 1}
        self.invoke_defer_method(last_log_time=event.get("last_log_time"), context=context)

    def _why_not(self, plain: Pod, pod: k8s.V1Pod, event: dict[str, Any]) -> str:
        """Say why a pod that has not ended is not waited for any longer."""
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        if is_lost(pod.metadata.deletion_timestamp, datetime.now(UTC)):
            return f"job {self.job}: {name} is lost: node {pod.spec.node_name} does not answer"
        waits = waits_for(plain, CONTAINER)
        deadline = event.get("_execution_deadline")
        if deadline and datetime.now(UTC).timestamp() >= deadline:
            what = f"waits: {waits}" if waits else "was at work"
            return f"job {self.job} took longer than its limit of {self.execution_timeout}: its {name} {what}"
        warning = newest_warning(self.client, pod.metadata.namespace, pod.metadata.name)
        cause = "; ".join(dict.fromkeys(text for text in (waits, warning, event.get("message")) if text))
        return f"job {self.job}: its {name} did not start: {cause}"

    def _read(self, name: str, namespace: str) -> k8s.V1Pod | None:
        try:
            return self.hook.get_pod(name, namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _discard(self, pod: k8s.V1Pod) -> None:
        """Delete the pod, and keep a retry from taking it for one that is still at work."""
        self.patch_already_checked(pod, reraise=False)
        self.process_pod_deletion(pod, reraise=False)


def _may_go_on(plain: Pod, pod: k8s.V1Pod, event: dict[str, Any]) -> bool:
    """Whether it was the trigger that had a problem, and not the pod that it waits for."""
    if event["status"] != "error" or event.get("_redefer_count", 0) >= MOST_REDEFERRALS:
        return False
    return not is_hopeless(plain, CONTAINER) and not is_lost(pod.metadata.deletion_timestamp, datetime.now(UTC))


def _cluster_config() -> ClusterConfig:
    """Read the settings of the kubernetes runtime.

    Raises:
        AirflowFailException: They are malformed.
    """
    try:
        config = Config.from_env().cluster
    except ConfigError as error:
        raise AirflowFailException(str(error)) from None
    if config is None:
        raise AirflowFailException("this task was made for SHOPSTREAM_RUNTIME=kubernetes, which is not set here")
    return config


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Fail with one line that names cause and object."""
    try:
        with plain_errors(what):
            yield
    except ClusterError as error:
        raise (AirflowFailException if error.permanent else AirflowException)(str(error)) from None
