"""The files of helm-values/: complete, pinned, locked down, without secrets, and agreed with the code on every name."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from helm_files import (
    CHART_VALUES,
    HELM,
    OBJECT_FILES,
    PART_OF,
    REPOSITORY,
    Object,
    containers,
    named,
    objects,
    pod_specs,
    values,
    walk,
)

from deploy.credentials import WANTED
from deploy.installed import CONFIG_KEYS, WORKLOADS
from deploy.objects import SHARED_CLAIMS
from deploy.parts import PARTS

from shopstream.pods import parts as pods  # isort: skip
from shopstream.pods import spark_application  # isort: skip

FILES = [*(HELM / f"{name}.yaml" for name in CHART_VALUES), *OBJECT_FILES]
SECRET_WORDS = re.compile(r"passw|secret|token|credential|fernet|(^|[-_])key", re.IGNORECASE)

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


every_container = pytest.mark.parametrize(("name", "container"), containers(), ids=lambda value: str(value)[:60])


def test_the_files_that_there_are() -> None:
    assert {path.name for path in HELM.glob("*.yaml")} == {f"{name}.yaml" for name in CHART_VALUES} | {
        "kafka.yaml",
        "mongodb.yaml",
    }
    installed = {name for part in PARTS for name in part.files}
    by_hand = {"manifests/mongodb-restore.yaml"}
    assert {str(path.relative_to(HELM)) for path in OBJECT_FILES} == installed | by_hand
    assert {part.name for part in PARTS if part.chart} == set(CHART_VALUES)
    assert len(objects()) > 30


@every_file
def test_every_value_has_its_reason(path: Path) -> None:
    """Every paragraph of values, and every object but plain accounts and bindings, has a comment."""
    text = path.read_text()
    assert text.startswith("# ")
    blocks = text.split("\n---\n") if path in OBJECT_FILES else re.split(r"\n\n(?=\S)", text)
    plain = re.compile(r"^kind: (RoleBinding|ServiceAccount)$", re.MULTILINE)
    assert not [block[:80] for block in blocks if "#" not in block and not plain.search(block)]


@every_file
def test_no_secret_is_written_down(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        for where, value in walk(document):
            if not where or not isinstance(value, str) or not SECRET_WORDS.search(where[-1]):
                continue
            assert value in ALLOWED_WORDS or where[-1] in ALLOWED_KEYS, (where, value)


# Names of Secrets and of their keys, and files; never what is in them.
ALLOWED_KEYS = {
    "metadataSecretName", "fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName", "existingSecret", "userKey",
    "passwordKey", "secretName", "key", "topologyKey", "simple_auth_manager_passwords_file",
}  # fmt: skip
ALLOWED_WORDS = {"{{ .Release.Name }}"}


@every_container
def test_passwords_reach_containers_by_reference(name: str, container: Object) -> None:
    for variable in container.get("env", []):
        if SECRET_WORDS.search(variable["name"]):
            assert "valueFrom" in variable or variable["name"].endswith("_FILE"), name


@every_container
def test_containers_are_locked_down_and_sized(name: str, container: Object) -> None:
    assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", container["image"]), name
    assert not container["image"].endswith(":latest")
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    resources = container["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}, "throttled servers lose their leases"


@pytest.mark.parametrize(("name", "spec", "_replicas"), list(pod_specs()), ids=lambda value: str(value)[:40])
def test_pods_are_locked_down(name: str, spec: Object, _replicas: int) -> None:
    assert spec["automountServiceAccountToken"] is False, name
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


def test_everything_is_labelled_and_takes_its_namespace_from_the_deployment() -> None:
    for one in objects():
        assert one["metadata"]["labels"].items() >= PART_OF.items(), one["metadata"]["name"]
        assert "namespace" not in one["metadata"], one["metadata"]["name"]
    for name, *_ in pod_specs():
        kind, _, own = name.partition("/")
        found = named(kind, own)["spec"]
        template = found["jobTemplate"]["spec"]["template"] if kind == "CronJob" else found["template"]
        assert template["metadata"]["labels"].items() >= PART_OF.items(), name
    assert values("airflow")["labels"] == PART_OF


def test_names_are_those_of_the_code() -> None:
    accounts = {one["metadata"]["name"] for one in objects() if one["kind"] == "ServiceAccount"}
    assert accounts == {"shopstream-airflow", pods.DRIVER_ACCOUNT, pods.JOB_ACCOUNT}
    assert named("ConfigMap", pods.CONFIG_MAP)["data"]["SHOPSTREAM_DATA_DIR"] == pods.DATA_DIR
    assert {pods.CLAIM, values("airflow")["logs"]["persistence"]["existingClaim"]} == set(SHARED_CLAIMS)
    assert pods.SECRET in {wanted.name for wanted in WANTED}
    assert spark_application.NAME == "shopstream-stream"
    deployments = {name.removeprefix("deployment/airflow-") for name in WORKLOADS["airflow"]}
    assert deployments == {"api-server", "scheduler", "dag-processor", "triggerer", "statsd"}


def test_referenced_secrets_are_made() -> None:
    made = {wanted.name: set(wanted.keys) for wanted in WANTED}
    made["shopstream-cluster-ca-cert"] = {"ca.crt"}
    for one in objects():
        for where, value in walk(one):
            if where and where[-1] == "secretKeyRef":
                assert value["key"] in made[value["name"]], where
            if where and where[-1] == "secret" and isinstance(value, dict):
                keys = {item["key"] for item in value.get("items", [])}
                assert keys <= made[value["secretName"]], where
    airflow = values("airflow")
    for variable in yaml.safe_load(airflow["extraEnv"]):
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["key"] in made[reference["name"]]
    # The keys that the chart looks for in the Secrets it is told.
    assert {"connection", "fernet-key", "api-secret-key", "jwt-secret"} <= made[airflow["fernetKeySecretName"]]
    assert values("monitoring")["grafana"]["admin"]["existingSecret"] in made


def test_both_sides_of_the_code_accept_the_settings() -> None:
    """The very environment that pods get passes the checks of Airflow's side and of the jobs'."""
    data = named("ConfigMap", "shopstream-config")["data"]
    assert all(isinstance(value, str) for value in data.values())
    assert set(CONFIG_KEYS) <= set(data)
    uri = "mongodb://shopstream:x@shopstream-mongodb-0.shopstream-mongodb:27017/shopstream?replicaSet=shopstream"
    secrets = {"MONGODB_URI": uri, "SHOPSTREAM_KAFKA_PASSWORD": "x"}
    env = {**os.environ, **data, **secrets, "SHOPSTREAM_HOME": "/nonexistent"}
    for module in ("shopstream.config", "spark_jobs.config"):
        code = f"import {module} as c; print(c.Config.from_env())"
        path = f"{REPOSITORY}:{REPOSITORY / 'plugins'}"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**env, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_airflow_knows_every_option_that_is_set() -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec
    assert spec.origin
    known = yaml.safe_load((Path(spec.origin).parent / "config_templates/config.yml").read_text())
    options = {(section, name) for section, content in known.items() for name in content["options"]}
    from airflow.providers.cncf.kubernetes.get_provider_info import get_provider_info

    provider = get_provider_info()["config"]  # type: ignore[no-untyped-call]
    options |= {(section, name) for section, content in provider.items() for name in content["options"]}
    config = values("airflow")["config"]
    assert {(section, name) for section, content in config.items() for name in content} <= options


def test_images_and_charts_are_pinned() -> None:
    for part in PARTS:
        if part.chart:
            assert re.fullmatch(r"\d+\.\d+\.\d+", part.chart.version)
            assert part.chart.version in (HELM / f"{part.name}.yaml").read_text().splitlines()[0], part.name
    version = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert values("airflow")["defaultAirflowTag"] == version[1]
    assert named("ConfigMap", "shopstream-config")["data"]["SHOPSTREAM_SPARK_IMAGE"] == f"shopstream-spark:{version[1]}"
    locked = re.search(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert locked
    assert values("airflow")["airflowVersion"] == locked[1]


def test_compose_and_cluster_use_the_same_images() -> None:
    compose = (REPOSITORY / "docker-compose.yaml").read_text()
    ours = {container["image"] for _, container in containers()}
    assert ours == {
        image for image in re.findall(r"image: (\S+)", compose) if image.startswith(("mongo:", "postgres:"))
    }
