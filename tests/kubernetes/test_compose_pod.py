"""The Airflow services of docker-compose.yaml, run as the containers of one pod.

There is no Docker here: the pod stands in for it. Commands, environment, users, mounts and health checks are those of
the file, from made-up secrets to a job in the scheduler's container; only the names of the services all mean the pod
itself, and Postgres is Debian's, which is there to be had. Runs in Airflow's environment, which can read YAML.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from embedded.airflow_api import AirflowApi
from tests.kubernetes.cluster import REPOSITORY, Cluster
from tests.kubernetes.images import Images, local_image, postgres_image

VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}|\$(\$)")
DAGS = {path.stem for path in (REPOSITORY / "dags").glob("*.py")}


def composed(secrets: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The services, every variable replaced by its secret or default."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        if not isinstance(value, str):
            return value
        return VARIABLE.sub(lambda found: found[3] or secrets.get(found[1], found[2] or ""), value)

    content = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
    return {name: filled(service) for name, service in content["services"].items()}


def container(name: str, service: dict[str, Any], image: str) -> tuple[dict[str, Any], list[str]]:
    """A container that does what the service says, and the names of the volumes it mounts."""
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"] if not volume.startswith("./"))
    mounts |= {
        f"{name}{path.replace('/', '-')}": path for path in (one.split(":")[0] for one in service.get("tmpfs", []))
    }
    made: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "args": service.get("command", []),
        "env": [{"name": key, "value": str(value)} for key, value in service["environment"].items()],
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts.items()],
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": service.get("read_only", False),
            "capabilities": {"drop": service.get("cap_drop", [])},
        },
    }
    if test := service["healthcheck"].get("test"):
        made["readinessProbe"] = {
            "exec": {"command": test[1:]},
            "periodSeconds": 5,
            "timeoutSeconds": 10,
            "failureThreshold": 60,
        }
    return made, list(mounts)


def pod(images: Images, secrets: dict[str, str]) -> dict[str, Any]:
    """The pod: Postgres and the migration first, then Airflow's four processes."""
    services = composed(secrets)
    used = {
        "postgres": postgres_image(),
        "airflow-init": images.airflow,
        "airflow-api-server": images.airflow,
        "airflow-dag-processor": images.airflow,
        "airflow-triggerer": images.airflow,
        "airflow-scheduler": local_image(),
    }
    made = {name: container(name, services[name], image) for name, image in used.items()}
    postgres = made["postgres"][0]
    postgres |= {"restartPolicy": "Always", "startupProbe": postgres.pop("readinessProbe")}
    volumes = {volume for _, names in made.values() for volume in names}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "compose"},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": list(services)}],
            "volumes": [{"name": volume, "emptyDir": {}} for volume in sorted(volumes)],
            "initContainers": [postgres, made["airflow-init"][0]],
            "containers": [made[name][0] for name in used if name not in ("postgres", "airflow-init")],
        },
    }


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What docker/secrets makes up."""
    folder = tmp_path_factory.mktemp("compose")
    (folder / "docker").mkdir()
    shutil.copy(REPOSITORY / "docker/secrets", folder / "docker")
    subprocess.run([str(folder / "docker/secrets")], check=True, capture_output=True)
    lines = Path(folder, ".env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(scope="module")
def airflow(cluster: Cluster, images: Images, namespace: str, secrets: dict[str, str]) -> Iterator[AirflowApi]:
    """Airflow, once every health check has passed."""
    cluster.kubectl("create", "-n", namespace, "-f", "-", given=pod(images, secrets))
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/compose", "--timeout=400s")
    address = cluster.get("pod", "-n", namespace, "compose")["status"]["podIP"]
    yield AirflowApi(f"http://{address}:8080", "admin", secrets["AIRFLOW_PASSWORD"])
    cluster.kubectl("delete", "pod", "-n", namespace, "compose", "--wait=false")


def test_all_services_are_healthy_and_know_the_dags(airflow: AirflowApi) -> None:
    airflow.await_dags(DAGS)
    assert airflow.request("GET", "/api/v2/importErrors")["total_entries"] == 0


def test_the_scheduler_runs_jobs_of_the_spark_environment(airflow: AirflowApi) -> None:
    airflow.await_dags(DAGS)
    run_id = airflow.trigger("seed_dimensions", {"file": "/var/lib/shopstream/data/absent.csv"})
    assert airflow.wait("seed_dimensions", run_id, seconds=240) == "failed"
    (task,) = airflow.task_states("seed_dimensions", run_id)
    # The job's own words, in a log that the API server has read from the shared volume. Bad input: not retried.
    log = "\n".join(airflow.task_log("seed_dimensions", run_id, task))
    assert "/opt/venvs/spark/bin/python -m spark_jobs.jobs.seed_dimensions" in log
    assert re.search("absent.csv.*No such file.*expected a .csv, .csv.gz or .parquet file", log), log


def test_the_scheduler_has_spark_with_both_connectors(cluster: Cluster, airflow: AirflowApi, namespace: str) -> None:
    script = """
        from spark_jobs.config import Config
        from spark_jobs.session import spark_session
        spark = spark_session("test", Config.from_env())
        print("sum", spark.range(1000).selectExpr("sum(id)").first()[0])
        loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
        print(loader.loadClass("org.apache.spark.sql.kafka010.KafkaSourceProvider").getName())
        print(loader.loadClass("com.mongodb.spark.sql.connector.MongoTableProvider").getName())
    """
    inside = ("exec", "-n", namespace, "compose", "-c", "airflow-scheduler", "--")
    python = 'cd /tmp && PYTHONPATH=/opt/shopstream exec "$SHOPSTREAM_SPARK_PYTHON" -c "$0"'
    output = cluster.kubectl(*inside, "bash", "-c", python, re.sub("^ {8}", "", script, flags=re.M))
    assert "sum 499500" in output
    assert output.strip().endswith("MongoTableProvider")
