"""What the tests of the kubernetes runtime put into a namespace, and how they log in to the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import REPOSITORY, Cluster
from tests.stack import INSTALLED, wait_for

APPLICATION = "shopstream-stream"
KIND = "crd/sparkapplications.sparkoperator.k8s.io"


@contextmanager
def running_operator(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Make the kind SparkApplication known, and have the stand-in for the spark-operator at work in a namespace."""
    cluster.kubectl("apply", "-f", str(Path(__file__).with_name("crd.yaml")))
    cluster.kubectl("wait", "--for=condition=Established", KIND, "--timeout=30s")
    spark = INSTALLED / "venvs" / "spark" / "bin"
    command = [sys.executable, "-m", "tests.kubernetes.operator_stand_in", "--namespace", namespace]
    command += ["--spark-submit", str(spark / "spark-submit")]
    # spark-submit finds its Spark by the Python beside it.
    path = f"{spark}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": str(REPOSITORY), "PATH": path}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=env, cwd=REPOSITORY, stdout=output, stderr=output)
        try:
            yield
        finally:
            ended = process.poll()
            process.terminate()
            process.wait(30)
        assert ended is None, output.seek(0) or output.read().decode()


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


def use_up_quota(cluster: Cluster, namespace: str) -> None:
    """Have a quota in the namespace that allows no pod."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=quota)
    wait_for(lambda: "hard" in cluster.get("resourcequota/none", "-n", namespace)["status"], 30, "the quota")


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


def configure(cluster: Cluster, namespace: str, behaviour: str) -> None:
    """Tell the stand-in for the application what to do when it starts next."""
    patch = json.dumps({"data": {"STAND_IN": behaviour}})
    cluster.kubectl("patch", "configmap", "shopstream-config", "-n", namespace, "--type=merge", "-p", patch)


def pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """All pods of the namespace."""
    found: list[dict[str, Any]] = cluster.get("pods", "-n", namespace)["items"]
    return found


def state(cluster: Cluster, namespace: str) -> str:
    """The state that the operator has written to the application."""
    application = cluster.get("sparkapplication", APPLICATION, "-n", namespace)
    return str(application.get("status", {}).get("applicationState", {}).get("state", ""))


def finished(cluster: Cluster, namespace: str, image: str) -> list[str]:
    """The fingerprints of the drivers that ended in good order."""
    spec = {
        "serviceAccountName": "shopstream-job",
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shopstream-data"}}],
        "containers": [
            {
                "name": "main",
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["sh", "-c", "cat /data/finished || true"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
    }
    return cluster.run_pod(namespace, spec).output.split()
