"""The Kubernetes API as this platform uses it, with errors that name the object and the cause."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.exceptions import AirflowException
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from shopstream.pods.parts import GROUP, PLURAL, VERSION
from shopstream.runtimes.base import JobRuntimeError

CONNECTION = KubernetesHook.default_conn_name

# To connect, to answer. The client tries three times to connect.
REACH_SECONDS = (3, 10)

Object = dict[str, Any]


class ClusterError(JobRuntimeError):
    """Kubernetes did not do what it was asked to.

    Attributes:
        permanent: Whether asking again is no use before somebody has changed something.
    """

    def __init__(self, message: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


def connect(hook: Any) -> client.ApiClient:
    """Return a client whose server has answered.

    Args:
        hook: A `KubernetesHook`: knows the connection. An empty one means the cluster that this process is a pod of,
            else ~/.kube/config.

    Raises:
        ClusterError: No cluster is configured, it does not answer, or it does not accept the credentials.
    """
    try:
        api = hook.api_client
    except (ConfigException, AirflowException, OSError) as error:
        raise ClusterError(
            f"no Kubernetes cluster is configured: {error} (this is no pod of one; set the connection {CONNECTION})",
            permanent=True,
        ) from None
    with plain_errors(f"the Kubernetes API at {api.configuration.host}"):
        client.VersionApi(api).get_code(_request_timeout=REACH_SECONDS)
    return api


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turn the client's exceptions into `ClusterError`.

    Args:
        what: What is being done to which object, or which server is asked.
    """
    try:
        yield
    except ApiException as error:
        raise _refusal(error, what) from None
    except (HTTPError, OSError) as error:
        cause = getattr(error, "reason", None) or error
        raise ClusterError(f"{what}: no answer ({cause})") from None


def _refusal(error: ApiException, what: str) -> ClusterError:
    try:
        message = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        message = str(error.body or error.reason or "").strip() or "no reason given"
    if error.status == 403 and "exceeded quota" in message:
        return ClusterError(f"{what}: the quota of the namespace is used up: {message}")
    hints = {
        401: "not accepted: the credentials are not valid",
        403: "forbidden",
        404: "not found",
        409: "it exists already, or is being changed",
        422: "not valid",
    }
    hint = hints.get(error.status, f"refused with status {error.status}")
    return ClusterError(f"{what}: {hint}: {message}", permanent=error.status in (400, 401, 403, 404, 422))


class Cluster:
    """Pods and SparkApplications of one namespace, as plain objects (camelCase).

    Args:
        hook: Knows the connection.
        namespace: The namespace.

    Raises (all methods):
        ClusterError: The API refuses or does not answer.
    """

    def __init__(self, hook: KubernetesHook, namespace: str) -> None:
        self.namespace = namespace
        self._api = connect(hook)
        self._core = client.CoreV1Api(self._api)
        self._custom = client.CustomObjectsApi(self._api)

    def application(self, name: str) -> Object | None:
        """Return a SparkApplication, or None where there is none."""
        try:
            with self._about_application(f"reading SparkApplication {self.namespace}/{name}"):
                found: Object = self._custom.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)
        except LookupError:
            return None
        return found

    def create_application(self, body: Mapping[str, Any]) -> Object:
        """Create a SparkApplication. A field that the cluster's operator does not know is an error, not ignored."""
        what = f"creating SparkApplication {self.namespace}/{body['metadata']['name']}"
        with self._about_application(what):
            created: Object = self._custom.create_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, dict(body), field_validation="Strict"
            )
        return created

    def delete_application(self, name: str) -> None:
        """Delete a SparkApplication, and with it the pods that it owns; nothing happens where there is none."""
        try:
            with self._about_application(f"deleting SparkApplication {self.namespace}/{name}"):
                self._custom.delete_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, name, propagation_policy="Background"
                )
        except LookupError:
            return

    def pods(self, selector: str) -> list[Object]:
        """Return the pods with these labels, oldest first; those that are being deleted, too."""
        with plain_errors(f"listing the pods of namespace {self.namespace}"):
            found = self._core.list_namespaced_pod(self.namespace, label_selector=selector).items
        pods: list[Object] = [self._api.sanitize_for_serialization(pod) for pod in found]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def end_pod(self, name: str) -> None:
        """Have a pod that is being deleted killed at once; its node still confirms the end."""
        try:
            self._core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=1)
        except ApiException as error:
            if error.status != 404:
                raise _refusal(error, f"deleting pod {self.namespace}/{name}") from None

    def log_tail(self, pod: str, container: str, lines: int) -> list[str]:
        """Return the last lines that a container printed; none where it has not started or is gone."""
        return log_tail(self._core, self.namespace, pod, container, lines)

    def warning_of(self, pod: str) -> str | None:
        """Return the newest warning about a pod: why it has no node, image or volume; None where nobody warned."""
        return newest_warning(self._core, self.namespace, pod)

    @contextmanager
    def _about_application(self, what: str) -> Iterator[None]:
        """Raise LookupError for an object that is not there, ClusterError for a kind that is not there."""
        try:
            yield
        except ApiException as error:
            if error.status != 404:
                raise _refusal(error, what) from None
            # An unknown kind is answered by the server's router, not with an object.
            if not str(error.body or "").lstrip().startswith("{"):
                raise ClusterError(
                    f"{what}: this cluster knows no SparkApplication ({GROUP}/{VERSION}): install the spark-operator",
                    permanent=True,
                ) from None
            if "namespaces" in str(error.body):
                raise _refusal(error, what) from None
            raise LookupError(what) from None
        except (HTTPError, OSError) as error:
            raise ClusterError(f"{what}: no answer ({error})") from None


def log_tail(core: client.CoreV1Api, namespace: str, pod: str, container: str, lines: int) -> list[str]:
    """Return the last lines that a container printed; none where it has not started or is gone."""
    try:
        raw = core.read_namespaced_pod_log(
            pod, namespace, container=container, tail_lines=lines, _preload_content=False
        ).data
    except (ApiException, HTTPError):
        return []
    return str(raw.decode(errors="replace")).splitlines()


def newest_warning(core: client.CoreV1Api, namespace: str, pod: str) -> str | None:
    """Return the newest warning about a pod, or None; a missing right to read events counts as none."""
    try:
        events = core.list_namespaced_event(namespace, field_selector=f"involvedObject.name={pod},type=Warning").items
    except (ApiException, HTTPError):
        return None
    if not events:
        return None
    newest = max(
        events, key=lambda event: event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    )
    return f"{newest.reason}: {newest.message}"
