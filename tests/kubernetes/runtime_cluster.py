"""What the tests of the kubernetes runtime put into a namespace, and how they log in to the cluster."""

from __future__ import annotations

import json
from typing import Any

from tests.kubernetes.cluster import Cluster


def provide(cluster: Cluster, namespace: str) -> None:
    """Create what jobs and the stream are given by the Helm values: accounts, settings, secret, volume."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    named: list[tuple[str, str, str, dict[str, Any]]] = [
        ("v1", "ServiceAccount", "shopstream-job", {}),
        ("v1", "ServiceAccount", "shopstream-spark-driver", {}),
        ("v1", "ConfigMap", "shopstream-config", {"data": {"SHOPSTREAM_TOPIC": "clicks"}}),
        ("v1", "Secret", "shopstream-secrets", {"stringData": {"mongodb-uri": "mongodb://user:word@host/db"}}),
        ("v1", "PersistentVolumeClaim", "shopstream-data", {"spec": claim}),
    ]
    objects = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **content} for api, kind, name, content in named
    ]
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=objects)


def kubeconfig_of(cluster: Cluster, namespace: str, account: str) -> dict[str, Any]:
    """Return a kubeconfig of a service account, which is created if it is not there."""
    given = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=given)
    config: dict[str, Any] = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": cluster.kubectl("create", "token", account, "-n", namespace).strip()}
    return config


def connection(**extra: Any) -> str:
    """Return the Airflow connection to a cluster, as the value of its variable."""
    return json.dumps({"conn_type": "kubernetes", "extra": extra})
