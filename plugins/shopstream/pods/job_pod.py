"""The pod of a batch job; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from shopstream.config import ClusterConfig
from shopstream.pods.parts import (
    JOB_ACCOUNT,
    PART_OF,
    Manifest,
    container_security,
    job_variables,
    mounts,
    pod_security,
    settings,
    variables,
    volumes,
)
from shopstream.resources import Resources

CONTAINER = "job"
SIDECAR = "airflow-xcom-sidecar"
RESULT_FOLDER = "/airflow/xcom"
RESULT = f"{RESULT_FOLDER}/return.json"

# A job that is asked to end (task killed, node drained) has this long; Spark needs a second or two.
GRACE_SECONDS = 20

# Airflow ends a task that runs too long and its pod with it; the pod's own deadline is for the case that nobody does.
DEADLINE_MARGIN = timedelta(minutes=2)

# Keeps the folder with the result alive until Airflow has read it, then gets SIGINT; at most a deadline long.
_WAIT = 'trap "exit 0" INT TERM; while true; do sleep 1; done'


def job_pod(
    config: ClusterConfig,
    job: str,
    arguments: Sequence[str],
    *,
    name: str,
    labels: dict[str, str],
    timeout: timedelta | None,
    sidecar_image: str | None = None,
) -> Manifest:
    """Return the pod of `spark_jobs.jobs.<job>`.

    Args:
        config: Image, namespace, resources.
        job: Name of the job's module.
        arguments: Its command line.
        name: Name of the pod.
        labels: By which Airflow finds it again.
        timeout: The task's `execution_timeout`.
        sidecar_image: Image of the container that keeps the result until it is read; needs `sh`. The job's own, unless
            another is wanted.
    """
    resources = config.resources_of(job)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": config.namespace,
            "labels": {**labels, **PART_OF, "app.kubernetes.io/component": "job", "app.kubernetes.io/name": job},
            # An autoscaler that wants to empty a node waits for jobs to end.
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": JOB_ACCOUNT,
            "automountServiceAccountToken": False,
            # Names and addresses of all services, in variables that the jobs could take for their own.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            **({"activeDeadlineSeconds": int((timeout + DEADLINE_MARGIN).total_seconds())} if timeout else {}),
            "securityContext": pod_security(),
            "volumes": volumes("tmp", "xcom"),
            "containers": [_job(config, job, arguments, resources), _sidecar(config, sidecar_image)],
        },
    }


def _job(config: ClusterConfig, job: str, arguments: Sequence[str], resources: Resources) -> Manifest:
    return {
        "name": CONTAINER,
        "image": config.spark_image,
        "imagePullPolicy": config.pull_policy,
        # `args`, so that the image's entry point collects orphans and passes signals on.
        "args": ["python", "-m", f"spark_jobs.jobs.{job}", *arguments, "--result", RESULT],
        "envFrom": settings(),
        "env": variables(job_variables(resources, f"local[{resources.cores}]")),
        "resources": resources.manifest(),
        "securityContext": container_security(),
        "volumeMounts": mounts(tmp="/tmp", xcom=RESULT_FOLDER),  # noqa: S108
    }


def _sidecar(config: ClusterConfig, image: str | None) -> Manifest:
    return {
        "name": SIDECAR,
        "image": image or config.spark_image,
        "imagePullPolicy": config.pull_policy,
        "command": ["sh", "-c", _WAIT],
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": "xcom", "mountPath": RESULT_FOLDER}],
    }
