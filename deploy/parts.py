"""What the platform consists of, in the order in which it is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.settings import MONITORING_NAMESPACE, Settings


@dataclass(frozen=True)
class Chart:
    """A Helm chart of somebody else.

    Attributes:
        name: Its name in the repository.
        version: The version that our values are written for.
        repository: Address of its repository.
        release: What its release is called.
        namespace: Where it goes; None for the platform's own.
        options: What of its values depends on the deployment, as arguments of `--set`.
        seconds: Longest time until all of its pods are ready; images are pulled in it.
    """

    name: str
    version: str
    repository: str
    release: str
    namespace: str | None = None
    options: Callable[[Settings], Sequence[str]] = lambda _settings: ()
    seconds: int = 900


@dataclass(frozen=True)
class Wait:
    """What has to be true before the next part.

    Attributes:
        what: In words.
        arguments: Command line of kubectl, without namespace and timeout.
        seconds: At most so long.
    """

    what: str
    arguments: tuple[str, ...]
    seconds: int = 600


@dataclass(frozen=True)
class Part:
    """A part of the platform.

    Attributes:
        name: What ONLY and SKIP call it.
        what: What it does, in words.
        files: Files of helm-values/ with our own objects.
        chart: A chart, whose values are in helm-values/NAME.yaml; installed before the files are applied.
        redone: Objects (`kind/name`) that are deleted first, as they cannot be changed: jobs, which are safe to repeat.
        waits: What has to be true before the next part.
        secrets: Whether this is where Secrets are made.
        optional: Installed only if asked for by WITH.
    """

    name: str
    what: str
    files: tuple[str, ...] = ()
    chart: Chart | None = None
    redone: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()
    secrets: bool = False
    optional: bool = False


def _airflow(settings: Settings) -> Sequence[str]:
    return (f"defaultAirflowRepository={settings.repository('airflow')}", f"defaultAirflowTag={settings.tag}")


PARTS = (
    Part(
        "platform",
        "namespace, accounts and their rights, volumes, network policies",
        files=tuple(f"manifests/{name}.yaml" for name in ("namespace", "rbac", "storage", "network-policies")),
    ),
    Part("quota", "limits for a shared cluster", files=("manifests/quota.yaml",), optional=True),
    Part("secrets", "passwords and keys that nobody has made yet", secrets=True),
    Part(
        "monitoring",
        "Prometheus and Grafana, alerts, a dashboard",
        files=("manifests/monitoring.yaml",),
        chart=Chart(
            "kube-prometheus-stack",
            "88.5.3",
            "https://prometheus-community.github.io/helm-charts",
            release="monitoring",
            namespace=MONITORING_NAMESPACE,
        ),
    ),
    Part(
        "strimzi",
        "the operator of Kafka",
        chart=Chart(
            "strimzi-kafka-operator",
            "1.2.0",
            "https://strimzi.io/charts/",
            release="strimzi",
            namespace="strimzi",
            options=lambda settings: (f"watchNamespaces={{{settings.namespace}}}",),
        ),
    ),
    Part(
        "kafka",
        "Kafka, its topic, its users",
        files=("kafka.yaml",),
        waits=(
            Wait("Kafka", ("wait", "--for=condition=Ready", "kafka/shopstream"), 1200),
            Wait("the topic", ("wait", "--for=condition=Ready", "kafkatopic/customer-events")),
            Wait(
                "Kafka's users",
                ("wait", "--for=condition=Ready", "kafkauser/shopstream", "kafkauser/shopstream-producer"),
            ),
        ),
    ),
    Part(
        "mongodb",
        "MongoDB, its replica set, its users, its backup",
        files=("mongodb.yaml",),
        redone=("job/shopstream-mongodb-init",),
        waits=(
            Wait("MongoDB's users", ("wait", "--for=condition=Complete", "job/shopstream-mongodb-init"), 900),
            Wait("MongoDB", ("rollout", "status", "statefulset/shopstream-mongodb")),
        ),
    ),
    Part(
        "database",
        "PostgreSQL for Airflow",
        files=("manifests/postgres.yaml",),
        waits=(Wait("PostgreSQL", ("rollout", "status", "statefulset/shopstream-postgres")),),
    ),
    Part(
        "spark-operator",
        "the operator of Spark applications",
        chart=Chart(
            "spark-operator",
            "2.5.2",
            "https://kubeflow.github.io/spark-operator",
            release="spark-operator",
            namespace="spark-operator",
            options=lambda settings: (f"spark.jobNamespaces={{{settings.namespace}}}",),
        ),
    ),
    # Not before: Airflow's pods of an earlier version would start jobs of the new one meanwhile.
    Part("settings", "what Airflow and the jobs are told", files=("manifests/config.yaml",)),
    Part(
        "airflow",
        "Airflow, which starts everything else",
        chart=Chart(
            "airflow", "1.22.0", "https://airflow.apache.org", release="airflow", options=_airflow, seconds=1200
        ),
        # Another tag within minutes finds the one of before, and a Job cannot be changed.
        redone=("job/airflow-run-airflow-migrations",),
    ),
)


def chosen(only: Sequence[str], skip: Sequence[str], extra: Sequence[str]) -> list[Part]:
    """Return the parts to install, in order.

    Args:
        only: Names of the only ones wanted; empty for all that are not optional.
        skip: Names of those not wanted.
        extra: Names of optional ones that are wanted.

    Raises:
        DeployError: A name is none.
    """
    names = [part.name for part in PARTS]
    if unknown := sorted({*only, *skip, *extra} - set(names)):
        raise DeployError(f"there is no part {', '.join(unknown)} (there are: {', '.join(names)})")
    return [
        part
        for part in PARTS
        if part.name not in skip and (part.name in only or part.name in extra or not (only or part.optional))
    ]
