"""The whole platform in a namespace: our own objects by `make deploy`, Airflow on KubernetesExecutor, the servers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import REPOSITORY, Cluster, kit
from tests.kubernetes.deploying import run
from tests.kubernetes.images import TAG, Images, postgres_image
from tests.kubernetes.platform_airflow import API_SERVER, MIGRATION, PART_OF, AirflowObjects, database
from tests.kubernetes.platform_servers import DATABASE, Servers, running_servers
from tests.kubernetes.runtime_airflow import Airflow, is_healthy
from tests.secure_kafka import PASSWORD
from tests.stack import INSTALLED, wait_for

START_SECONDS = 240.0
EVENTS = "month.csv.gz"
DRIVER = "spark-role=driver"

# A month of a very small shop, one record in a hundred malformed: the same wherever it is made.
GENERATOR = ("--users", "250", "--days", "30", "--events", "12000", "--seed", "7", "--dirty", "0.01", "--out")

# What fits on two cores beside Airflow.
SMALL = {"cpu": "10m", "memory": "1536Mi"}
SIZES = {"ingestion": {"cpu": "10m"}, "training": SMALL, "stream_driver": SMALL, "stream_executor": SMALL}
SETTINGS = {
    "SHOPSTREAM_STREAM_EXECUTORS": "1",
    "SHOPSTREAM_STATE_PARTITIONS": "2",
    "SHOPSTREAM_TRIGGER_SECONDS": "2",
}


@dataclass(frozen=True)
class Platform:
    """A running platform.

    Attributes:
        cluster: The cluster.
        namespace: Where it is.
        airflow: Its Airflow.
        servers: Kafka and the document store.
        data_dir: Folder of the shared data, as pods see it.
        events: The events file on this machine; pods have one with the same content and name in `data_dir`.
    """

    cluster: Cluster
    namespace: str
    airflow: Airflow
    servers: Servers
    data_dir: str
    events: Path

    def unpause(self, dag_id: str, paused: bool = False) -> None:
        """Let a DAG run, or stop it from starting more runs."""
        self.airflow.api.request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def resize(self, sizes: dict[str, dict[str, str]]) -> None:
        """Give jobs other resources than the tests usually do; tasks that start from now on use them."""
        configure(self.cluster, self.namespace, {"SHOPSTREAM_POD_RESOURCES": json.dumps(SIZES | sizes)})

    @contextmanager
    def leaking(self, job: str) -> Iterator[None]:
        """Let a job eat all memory as soon as its Python starts, in pods that start meanwhile.

        A limit that the job itself exceeds will not do: close to it, the kernel drops and reads the same pages of
        libraries again and again, for minutes, before it ends the container. The stream has to run: it has the volume.
        """
        folder = f"{self.data_dir}/leak"
        leak = f"import sys\nif 'spark_jobs.jobs.{job}' in sys.orig_argv:\n    [bytearray(2**26) for _ in range(100)]\n"
        write = ("sh", "-c", 'mkdir -p "$1" && printf %s "$2" >"$1/sitecustomize.py"', "sh", folder, leak)
        (driver,) = self.pods(DRIVER)
        self.cluster.kubectl("exec", "-n", self.namespace, driver["metadata"]["name"], "--", *write)
        configure(self.cluster, self.namespace, {"PYTHONPATH": f"/opt/shopstream:{folder}"})
        try:
            yield
        finally:
            configure(self.cluster, self.namespace, {"PYTHONPATH": "/opt/shopstream"})

    def run_dag(self, dag_id: str, conf: dict[str, Any], seconds: float = 300) -> str:
        """Run a DAG and require its success; returns the run id."""
        run_id = self.airflow.api.trigger(dag_id, conf)
        self.await_run(dag_id, run_id, seconds)
        return run_id

    def await_run(self, dag_id: str, run_id: str, seconds: float = 300) -> None:
        """Wait until a run has ended, and require its success."""
        outcome = self.airflow.api.wait(dag_id, run_id, seconds)
        states = self.airflow.api.task_states(dag_id, run_id)
        logs = [self.airflow.attempt(dag_id, run_id, one).text for one, state in states.items() if state == "failed"]
        assert outcome == "success", "\n".join([f"{dag_id}: {states}", *(text[-3000:] for text in logs)])

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods with these labels."""
        found: list[dict[str, Any]] = self.cluster.get("pods", "-n", self.namespace, "-l", selector)["items"]
        return found

    def spark_side(self, module: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a module in Spark's environment of this machine, told of the same servers as the pods."""
        python = str(INSTALLED / "venvs" / "spark" / "bin" / "python")
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **self.servers.variables, **settings}
        return subprocess.run(
            [python, "-m", module, *arguments], env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )


def configure(cluster: Cluster, namespace: str, settings: dict[str, str]) -> None:
    """Change settings of the platform; pods that start from now on have them."""
    patch = json.dumps({"data": settings})
    cluster.kubectl("patch", "configmap", "shopstream-config", "-n", namespace, "--type=merge", "-p", patch)


@contextmanager
def running_platform(cluster: Cluster, images: Images, folder: Path) -> Iterator[Platform]:
    """Bring up everything but the stream and its operator, and leave nothing of it behind.

    Args:
        cluster: The cluster.
        images: Its images.
        folder: For what is on this machine.
    """
    python = str(INSTALLED / "venvs" / "spark" / "bin" / "python")
    generate = [python, "data/generate_events.py", *GENERATOR, str(folder / EVENTS)]
    subprocess.run(generate, cwd=REPOSITORY, check=True, capture_output=True)
    host = kit("host-address").strip()
    with running_servers(folder, host) as servers, cluster.namespace("platform") as namespace:
        data_dir = _install(cluster, namespace, servers)
        _generate(cluster, namespace, images, data_dir)
        airflow = _start_airflow(cluster, namespace, images)
        yield Platform(cluster, namespace, airflow, servers, data_dir, folder / EVENTS)
        for kind in ("sparkapplication", "deployment", "statefulset"):
            cluster.kubectl("delete", kind, "--all", "-n", namespace, "--wait=false")


def _install(cluster: Cluster, namespace: str, servers: Servers) -> str:
    """Install accounts, rights, settings, volumes and secrets as production does; returns the data folder of pods."""
    secrets = {
        "shopstream-secrets": {"mongodb-uri": servers.mongodb_uri, "kafka-password": PASSWORD},
        # Strimzi would write it.
        "shopstream-cluster-ca-cert": {"ca.crt": servers.broker.authority},
    }
    cluster.kubectl(
        "apply", "-n", namespace, "-f", "-",
        given=[
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": PART_OF}, "stringData": values}
            for name, values in secrets.items()
        ],
    )  # fmt: skip
    options = ["--namespace", namespace, "--tag", TAG, "--access-mode", "ReadWriteOnce"]
    done = run(cluster, "apply", *options, "--only", "platform secrets settings")
    assert done.returncode == 0, done.stderr
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": servers.broker.secured,
        "SHOPSTREAM_DATABASE": DATABASE,
        "SHOPSTREAM_POD_RESOURCES": json.dumps(SIZES),
    }
    configure(cluster, namespace, SETTINGS | settings)
    found = cluster.get("configmap", "shopstream-config", "-n", namespace)["data"]
    return str(found["SHOPSTREAM_DATA_DIR"])


def _generate(cluster: Cluster, namespace: str, images: Images, data_dir: str) -> None:
    """Have a pod write the events file to the volume of the jobs."""
    spec = {
        "serviceAccountName": "shopstream-job",
        "securityContext": {"runAsUser": 185, "runAsGroup": 0, "runAsNonRoot": True, "fsGroup": 0},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shopstream-data"}}],
        "containers": [
            {
                "name": "main",
                "image": images.spark,
                "imagePullPolicy": "Never",
                "args": ["python", "-m", "data.generate_events", *GENERATOR, f"{data_dir}/{EVENTS}"],
                "volumeMounts": [{"name": "data", "mountPath": data_dir}],
            }
        ],
    }
    ended = cluster.run_pod(namespace, spec)
    assert ended.status == 0, ended.output


def _start_airflow(cluster: Cluster, namespace: str, images: Images) -> Airflow:
    """Start database and Airflow, and log in."""
    objects = AirflowObjects(images.airflow, namespace)
    given = [*database(postgres_image()), objects.settings(), objects.pod_template()]
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=given)
    cluster.kubectl("rollout", "status", "statefulset/shopstream-postgres", "-n", namespace, "--timeout=120s")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=objects.migration())
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{MIGRATION}", "-n", namespace, "--timeout=180s")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=objects.processes())
    cluster.kubectl("rollout", "status", f"deployment/{API_SERVER}", "-n", namespace, f"--timeout={START_SECONDS:.0f}s")
    address = cluster.get("service", API_SERVER, "-n", namespace)["spec"]["clusterIP"]
    url = f"http://{address}:8080"
    wait_for(lambda: is_healthy(url), START_SECONDS, "a healthy Airflow")
    secret = cluster.get("secret", "shopstream-airflow", "-n", namespace)["data"]["passwords.json"]
    airflow = Airflow(url, json.loads(base64.b64decode(secret))["admin"])
    airflow.api.await_dags({path.stem for path in (REPOSITORY / "dags").glob("*.py")})
    return airflow
