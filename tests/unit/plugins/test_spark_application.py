import json
import re
import subprocess
from types import SimpleNamespace
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from airflow_for_tests import REPOSITORY
from kubernetes.client import ApiClient
from kubernetes_stand_ins import cluster_config

from shopstream.pods import spark_application as module
from shopstream.pods.spark_application import MAIN, SPARK_VERSION, spark_application

CRD = REPOSITORY / "tests" / "kubernetes" / "crd.yaml"


@pytest.fixture
def application() -> dict[str, Any]:
    return spark_application(cluster_config(), "cafe", 60)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI schema as JSON schema that knows no fields but its own, as the API server with strict validation."""
    known = {name: strict(one) for name, one in schema.get("properties", {}).items()}
    closed = bool(known) and not schema.get("x-kubernetes-preserve-unknown-fields")
    return schema | {"properties": known} | ({"additionalProperties": False} if closed else {})


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    crd = yaml.safe_load(CRD.read_text())
    (version,) = crd["spec"]["versions"]
    assert version["name"] == "v1beta2"
    return strict(version["schema"]["openAPIV3Schema"])


def test_the_kind_knows_every_field(application: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(application, schema)
    application["spec"]["driver"]["core"] = 1
    with pytest.raises(jsonschema.ValidationError, match="core"):
        jsonschema.validate(application, schema)


def test_templates_are_pods(application: dict[str, Any]) -> None:
    """A name that Kubernetes does not know would be dropped without a word."""
    client = ApiClient()
    for role in ("driver", "executor"):
        template = application["spec"][role]["template"]
        pod = client.deserialize(SimpleNamespace(data=json.dumps(template)), "V1PodTemplateSpec")
        assert client.sanitize_for_serialization(pod) == template


def test_it_runs_a_file_that_exists_with_the_locked_spark(application: dict[str, Any]) -> None:
    spec = application["spec"]
    assert (spec["type"], spec["mode"], spec["image"]) == ("Python", "cluster", "shopstream-spark:1")
    assert (REPOSITORY / MAIN.removeprefix("local:///opt/shopstream/")).is_file()
    locked = re.search(r"^pyspark==(\S+)", (REPOSITORY / "requirements-spark.txt").read_text(), re.MULTILINE)
    assert locked
    assert locked[1] == SPARK_VERSION == spec["sparkVersion"]
    assert (REPOSITORY / "spark_jobs" / "log4j2.properties").is_file()


def test_the_operator_restarts_it_and_tries_again(application: dict[str, Any]) -> None:
    policy = application["spec"]["restartPolicy"]
    assert policy["type"] == "Always"
    assert policy["onFailureRetryInterval"] > 0
    assert policy["onSubmissionFailureRetryInterval"] > 0


def test_memory_adds_up_to_the_limit(application: dict[str, Any]) -> None:
    for role, total in (("driver", 2048), ("executor", 3072)):
        sizes = application["spec"][role]
        assert int(sizes["memory"][:-1]) + int(sizes["memoryOverhead"][:-1]) == total
        assert {sizes["memory"][-1], sizes["memoryOverhead"][-1]} == {"m"}
    assert application["spec"]["executor"]["instances"] == 2


def test_pods_are_locked_down(application: dict[str, Any]) -> None:
    for role in ("driver", "executor"):
        spec = application["spec"][role]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/var/lib/shopstream"}
    assert application["spec"]["driver"]["serviceAccount"] == "shopstream-spark-driver"
    assert application["spec"]["executor"]["serviceAccount"] == "shopstream-job"
    assert application["spec"]["executor"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_only_the_driver_gets_the_secret_and_by_reference(application: dict[str, Any]) -> None:
    def env(role: str) -> dict[str, Any]:
        (container,) = application["spec"][role]["template"]["spec"]["containers"]
        return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}

    assert env("driver")["MONGODB_URI"] == {"secretKeyRef": {"name": "shopstream-secrets", "key": "mongodb-uri"}}
    assert env("driver")["SHOPSTREAM_KAFKA_PASSWORD"] == {
        "secretKeyRef": {"name": "shopstream-secrets", "key": "kafka-password", "optional": True}
    }
    assert env("driver")["SHOPSTREAM_CONFIG_HASH"] == "cafe"
    assert env("driver")["SHOPSTREAM_SPARK_MASTER"].startswith("k8s://")
    assert env("executor") == {"HOME": "/tmp"}
    assert application["metadata"]["annotations"] == {
        "shopstream/config-hash": "cafe",
        "shopstream/image": "shopstream-spark:1",
    }


def test_no_setting_that_the_operator_keeps_to_itself(application: dict[str, Any]) -> None:
    """Its webhook refuses these."""
    kept = re.compile(r"spark\.(master|kubernetes\.(authenticate|driver\.master|.*container\.image|namespace))")
    assert not [name for name in application["spec"]["sparkConf"] if kept.match(name)]


def test_the_shell_that_lets_the_micro_batch_finish(tmp_path: Any) -> None:
    """It tells the Python process, and neither the JVM, whose command line names the file, too, nor itself."""
    program = tmp_path / "spark_jobs" / "jobs" / "stream.py"
    program.parent.mkdir(parents=True)
    program.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(["python3", program], stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout
        assert stream.stdout.readline() == "ready\n"
        with subprocess.Popen(["sleep", "60"], executable="/bin/sleep") as other:
            # As a child of this test the ended process would stay a zombie, which has no command line but a folder.
            finish = subprocess.Popen(["sh", "-c", module._FINISH])
            assert stream.wait(30) == 7
            assert finish.wait(30) == 0
            assert other.poll() is None
            other.kill()
