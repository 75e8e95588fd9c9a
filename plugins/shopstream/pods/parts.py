"""What batch pods, driver and executors have in common. Names are those of the Helm values; pure."""

from __future__ import annotations

from typing import Any

from shopstream.resources import Resources

Manifest = dict[str, Any]

# Label of everything that belongs to the platform.
PART_OF = {"app.kubernetes.io/part-of": "shopstream"}

# The kind of the stream's own object.
GROUP, VERSION, PLURAL = "sparkoperator.k8s.io", "v1beta2", "sparkapplications"

CONFIG_MAP = "shopstream-config"
SECRET = "shopstream-secrets"  # noqa: S105  (its name, not its content)
AUTHORITY = "shopstream-cluster-ca-cert"
CLAIM = "shopstream-data"
DATA_DIR = "/var/lib/shopstream"

# Accounts: batch pods and executors may do nothing in the API, the driver looks after its executors.
JOB_ACCOUNT = "shopstream-job"
DRIVER_ACCOUNT = "shopstream-spark-driver"

SPARK_UID = 185


def pod_security() -> Manifest:
    """Return the security context of a pod. What it writes to the shared volume belongs to group 0, as Airflow does."""
    return {
        "runAsNonRoot": True,
        "runAsUser": SPARK_UID,
        "runAsGroup": 0,
        "fsGroup": 0,
        # A volume that has the right owner already is not walked through at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Return the security context of a container: the namespace level `restricted`, and a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def volumes(*scratch: str) -> list[Manifest]:
    """Return the volumes of a pod: the platform's data, and empty folders."""
    data = {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}
    return [data, *({"name": name, "emptyDir": {}} for name in scratch)]


def mounts(**scratch: str) -> list[Manifest]:
    """Return the mounts of a container: the platform's data, and empty folders (name to path)."""
    data = {"name": "data", "mountPath": DATA_DIR}
    return [data, *({"name": name, "mountPath": path} for name, path in scratch.items())]


def settings() -> list[Manifest]:
    """Return `envFrom`: what is no secret comes from the ConfigMap."""
    return [{"configMapRef": {"name": CONFIG_MAP}}]


def variables(values: dict[str, str], secret: bool = True) -> list[Manifest]:
    """Return `env`; it wins over `settings`.

    Args:
        values: Plain values by name.
        secret: Whether the container gets what MongoDB and Kafka ask for, by reference.
    """
    secrets = [
        _secret("MONGODB_URI", SECRET, "mongodb-uri"),
        # A Kafka of your own may ask for neither.
        _secret("SHOPSTREAM_KAFKA_PASSWORD", SECRET, "kafka-password", optional=True),
        _secret("SHOPSTREAM_KAFKA_CA", AUTHORITY, "ca.crt", optional=True),
    ]
    return [*(secrets if secret else []), *({"name": name, "value": value} for name, value in values.items())]


def _secret(variable: str, name: str, key: str, optional: bool = False) -> Manifest:
    reference = {"name": name, "key": key, **({"optional": True} if optional else {})}
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}


def job_variables(resources: Resources, master: str) -> dict[str, str]:
    """Return what every process of the job side is told.

    Args:
        resources: What its container gets: the heap has to fit.
        master: Spark master URL.
    """
    return {
        "SHOPSTREAM_DATA_DIR": DATA_DIR,
        "SHOPSTREAM_SPARK_MASTER": master,
        "SHOPSTREAM_SPARK_DRIVER_MEMORY": f"{resources.heap_mb}m",
        # The root is read-only; libraries look for a home to keep their settings in.
        "HOME": "/tmp",  # noqa: S108
        "SPARK_LOCAL_DIRS": "/tmp",  # noqa: S108
    }
