"""The images as pods: locked down as in production, with a root file system that cannot be written."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from tests.kubernetes.cluster import REPOSITORY, Cluster, Finished
from tests.kubernetes.images import Images

DAGS = {path.stem for path in (REPOSITORY / "dags").glob("*.py")}
TOOLS = "gcc cc g++ make javac jlink curl wget"

CONNECTORS = (
    "com.mongodb.spark.sql.connector.MongoTableProvider",
    "org.apache.spark.sql.kafka010.KafkaSourceProvider",
)
SPARK_JOB = f"""
    from pyspark.sql import SparkSession, functions as F
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    print("sum", spark.range(1000).agg(F.sum("id")).first()[0])
    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for name in {CONNECTORS}:
        print(loader.loadClass(name).getName())
"""


def locked_down(image: str, command: list[str], writable: tuple[str, ...]) -> dict[str, Any]:
    """The spec of a pod with the least rights there are, for one command."""
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 0},
        "volumes": [{"name": f"v{number}", "emptyDir": {}} for number in range(len(writable))],
        "containers": [
            {
                "name": "main",
                "image": image,
                "imagePullPolicy": "Never",
                "args": command,
                "resources": {"limits": {"memory": "1536Mi"}},
                "volumeMounts": [{"name": f"v{number}", "mountPath": path} for number, path in enumerate(writable)],
                "securityContext": {
                    # The user is the image's own: only its number is checked, by the kubelet and by the tests.
                    "runAsNonRoot": True,
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


@pytest.fixture(scope="module")
def airflow_pod(cluster: Cluster, images: Images, namespace: str) -> Any:
    """Runs a script in the airflow image."""

    def run(script: str) -> Finished:
        command = ["bash", "-euc", textwrap.dedent(script)]
        return cluster.run_pod(namespace, locked_down(images.airflow, command, ("/tmp", "/opt/airflow")))

    return run


@pytest.fixture(scope="module")
def spark_pod(cluster: Cluster, images: Images, namespace: str) -> Any:
    """Runs a command in the spark image."""

    def run(*command: str) -> Finished:
        return cluster.run_pod(namespace, locked_down(images.spark, list(command), ("/tmp",)))

    return run


def test_airflow_lists_all_dags_without_import_errors(airflow_pod: Any) -> None:
    ended = airflow_pod("""
        airflow db migrate >/tmp/migrate.log 2>&1 || { cat /tmp/migrate.log; exit 1; }
        airflow dags list --local --output plain --columns dag_id
        # Its first lines are warnings about what Airflow could draw with Graphviz.
        echo "errors: $(airflow dags list-import-errors --local --output json | tail --lines 1)"
    """)
    assert ended.status == 0, ended.output
    assert set(ended.output.split()) >= DAGS, ended.output
    assert ended.output.splitlines()[-1] == "errors: []", ended.output


def test_airflow_image_has_what_servers_need_and_no_more(airflow_pod: Any) -> None:
    ended = airflow_pod(f"""
        echo "user $(id -u):$(id -g)"
        python -c 'import asyncpg, psycopg2, statsd; print("drivers")'
        python -c 'import pyspark' 2>/dev/null || echo "no pyspark"
        for tool in {TOOLS} java; do ! command -v $tool || exit 3; done
        touch /opt/shopstream/x 2>/dev/null || echo "read-only"
        find / -xdev \\( -name .env -o -name secrets.json -o -name .shopstream \\) 2>/dev/null || true
    """)
    assert ended.status == 0, ended.output
    assert ended.output.splitlines() == ["user 50000:0", "drivers", "no pyspark", "read-only"]


def test_spark_image_runs_a_job_with_both_connectors(spark_pod: Any) -> None:
    ended = spark_pod("python", "-c", textwrap.dedent(SPARK_JOB))
    assert ended.status == 0, ended.output
    lines = ended.output.splitlines()
    assert "sum 499500" in lines
    assert set(CONNECTORS) <= set(lines)


def test_spark_image_has_every_job_and_no_tool_to_build(spark_pod: Any) -> None:
    ended = spark_pod(
        "bash",
        "-euc",
        f"""
        echo "user $(id -u):$(id -g)"
        cd /opt/shopstream
        for job in spark_jobs/jobs/[a-z]*.py; do
            python -m spark_jobs.jobs.$(basename $job .py) --help >/tmp/help || exit 4
        done
        python -c 'import airflow' 2>/dev/null || echo "no airflow"
        for tool in {TOOLS}; do ! command -v $tool || exit 3; done
        java -version 2>&1 | head -1
        touch /opt/spark/jars/x 2>/dev/null || echo "read-only"
        """,
    )
    assert ended.status == 0, ended.output
    user, airflow, java, writable = ended.output.splitlines()
    assert (user, airflow, writable) == ("user 185:0", "no airflow", "read-only")
    assert 'version "17.' in java


def test_bad_configuration_ends_a_job_with_status_2(spark_pod: Any) -> None:
    ended = spark_pod("python", "-m", "spark_jobs.jobs.features", "--as-of", "2019-11-01T00:00:00+00:00")
    assert (ended.status, "error: MONGODB_URI is missing" in ended.output) == (2, True), ended.output


def test_a_signal_reaches_the_command(spark_pod: Any) -> None:
    ended = spark_pod("bash", "-c", "trap 'echo ended; exit 7' TERM; kill -TERM 1; sleep 30 & wait $!")
    assert (ended.status, ended.output) == (7, "ended\n")


def test_driver_and_executor_run_as_locked_down_pods(cluster: Cluster, images: Images, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "spark", "-n", namespace)
    binding = ("rolebinding", "spark", "--clusterrole=edit", f"--serviceaccount={namespace}:spark")
    cluster.kubectl("create", *binding, "-n", namespace)
    pod = locked_down(images.spark, [], ("/tmp",))
    template = {"apiVersion": "v1", "kind": "Pod", "spec": {**pod, "automountServiceAccountToken": True}}
    settings = {
        "spark.kubernetes.namespace": namespace,
        "spark.kubernetes.container.image": images.spark,
        "spark.kubernetes.container.image.pullPolicy": "Never",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
        "spark.kubernetes.driver.pod.name": "pi-driver",
        "spark.kubernetes.driver.podTemplateFile": "/tmp/pod.json",
        "spark.kubernetes.executor.podTemplateFile": "/tmp/pod.json",
        "spark.kubernetes.driver.request.cores": "0.2",
        "spark.kubernetes.executor.request.cores": "0.2",
        "spark.kubernetes.submission.waitAppCompletion": "true",
        "spark.executor.instances": "1",
        "spark.driver.memory": "512m",
        "spark.executor.memory": "512m",
        "spark.ui.enabled": "false",
    }
    options = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    submit = f"""
        echo '{json.dumps(template)}' >/tmp/pod.json
        exec "$SPARK_HOME/bin/spark-submit" --master k8s://https://kubernetes.default.svc --deploy-mode cluster \\
          --name pi {options} local:///opt/spark/examples/src/main/python/pi.py 2
    """
    account = {"serviceAccountName": "spark", "automountServiceAccountToken": True}
    spec = {**locked_down(images.spark, ["bash", "-euc", submit], ("/tmp",)), **account}
    ended = cluster.run_pod(namespace, spec, seconds=300)
    assert ended.status == 0, ended.output
    driver = cluster.kubectl("logs", "-n", namespace, "pi-driver")
    assert "Pi is roughly 3." in driver, driver[-3000:]
    assert "Registered executor" in driver, driver[-3000:]
