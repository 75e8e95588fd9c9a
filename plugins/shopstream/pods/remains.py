"""What an ended pod of a job leaves behind: its output and its result."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import EMPTY_XCOM_RESULT, PodManager
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from shopstream.joblog import JobLog
from shopstream.pods.api import log_tail
from shopstream.pods.diagnosis import End
from shopstream.pods.job_pod import CONTAINER, RESULT_FOLDER
from shopstream.pods.logs import seconds_since, show
from shopstream.runtimes.base import JobOutcome

log = logging.getLogger(__name__)

# Lines of output that are searched for what a job said last.
TAIL_LINES = 100


def remains(
    job: str, manager: PodManager, core: CoreV1Api, pod: k8s.V1Pod, end: End, shown_until: str | None
) -> JobOutcome:
    """Show the rest of a job's output, and read its result.

    Args:
        job: Name of the job, for messages.
        manager: Reads the result.
        core: Reads the output.
        pod: The pod.
        end: How the job's container ended.
        shown_until: Time stamp of the last line that the task's log has; None for none.

    Raises:
        AirflowException: The job ended well, but the result cannot be read.
    """
    _show_rest(core, pod, shown_until)
    output = JobLog()
    for line in log_tail(core, pod.metadata.namespace, pod.metadata.name, CONTAINER, TAIL_LINES):
        output.read(line)
    result = _result(job, manager, pod) if end.status == 0 else None
    return JobOutcome(end.status, result, output.error, output.skipped, tuple(output.tail), end.fault)


def _show_rest(core: CoreV1Api, pod: k8s.V1Pod, after: str | None) -> None:
    options = {"since_seconds": seconds_since(after, datetime.now(UTC))} if after else {}
    try:
        raw = core.read_namespaced_pod_log(
            pod.metadata.name,
            pod.metadata.namespace,
            container=CONTAINER,
            timestamps=True,
            _preload_content=False,
            **options,
        ).data
    except (ApiException, HTTPError) as error:
        log.warning("The rest of the job's output cannot be read: %s", getattr(error, "reason", error))
        return
    show(raw.decode(errors="replace").splitlines(), after, JobLog())


def _result(job: str, manager: PodManager, pod: k8s.V1Pod) -> dict[str, Any] | None:
    """Read what the job has written, which the other container keeps; None where it wrote nothing."""
    try:
        text = manager.extract_xcom_json(pod)
        result = None if text.rstrip() == EMPTY_XCOM_RESULT else json.loads(text)
    except (ApiException, HTTPError, ValueError, AirflowException) as error:
        raise AirflowException(
            f"job {job} ended well, but its result cannot be read from {RESULT_FOLDER} of pod "
            f"{pod.metadata.namespace}/{pod.metadata.name}: {getattr(error, 'reason', None) or error}"
        ) from None
    return result if isinstance(result, dict) else None
