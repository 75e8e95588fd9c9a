"""docker-compose.yaml: valid, consistent with the rest of the repository, and without secrets."""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.configuration import conf
from deployment_files import REPOSITORY, VARIABLE, compose, dotenv, environment, make_secrets, services
from drawing.variables import variables

from embedded.config import read_settings
from embedded.credentials import Credentials
from embedded.environment import airflow_variables

SECRET = re.compile(r"PASSWORD$|SECRET|_KEY$|URI$|CONN$")
ONCE = {"airflow-init", "kafka-topic"}

# Where a container has to differ from a process of the embedded stack: addresses, folders, keys, the database.
OWN_OPTIONS = {
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
}


def test_the_file_follows_the_compose_specification() -> None:
    # schema/compose-spec.json of the compose-spec project (Apache License 2.0).
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    errors = jsonschema.Draft7Validator(schema).iter_errors(compose())
    assert [error.message for error in errors] == []


def test_the_schema_refuses_what_is_no_service() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    broken = {"services": {"kafka": {"image": "apache/kafka:4.4.0", "healthchek": {}}}}
    with pytest.raises(jsonschema.ValidationError, match="healthchek"):
        jsonschema.Draft7Validator(schema).validate(broken)


def test_versions_are_those_of_the_repository() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    ivy = ET.parse(REPOSITORY / "jars/ivy.xml")  # noqa: S314 (our own file)
    kafka = next(one.get("rev") for one in ivy.iter("dependency") if one.get("name") == "kafka_2.13")
    images = {service: content["image"] for service, content in services().items()}
    assert {image for name, image in images.items() if name.startswith("kafka")} == {f"apache/kafka:{kafka}"}
    for name, image in images.items():
        if name.startswith("airflow"):
            part = "local" if name == "airflow-scheduler" else "airflow"
            assert image == f"shopstream-{part}:{project}"
            assert services()[name]["build"]["target"] == part


def test_images_are_pinned_and_name_no_registry() -> None:
    for name, content in services().items():
        repository, _, tag = content["image"].rpartition(":")
        assert re.match(r"\d+\.\d+\.\d+|\d+\.\d+", tag), name
        assert not re.match(r"[^/]*[.:]", repository), name


def test_every_variable_of_the_platform_is_documented() -> None:
    ours = re.compile("SHOPSTREAM_|MONGODB_URI|KAFKA_BOOTSTRAP_SERVERS|JAVA_HOME")
    used = {name for _, name, _ in environment() if ours.match(name)}
    used |= {
        match["name"]
        for _, _, value in environment()
        for match in VARIABLE.finditer(value)
        if ours.match(match["name"])
    }
    assert len(used) > 5
    assert used - variables().keys() == set()


def test_every_airflow_option_exists() -> None:
    options = {name for _, name, _ in environment() if name.startswith("AIRFLOW__")}
    assert len(options) > 10
    for option in options:
        section, key = option.removeprefix("AIRFLOW__").lower().split("__")
        known = conf.configuration_description[section]["options"] | conf.configuration_description["core"]["options"]
        assert key in known, option


def test_airflow_is_configured_as_in_the_embedded_stack() -> None:
    settings = read_settings({"SHOPSTREAM_HOME": "/home"})
    embedded = airflow_variables(settings, Credentials("shopstream", "x", "admin", "x", "x", "x", "x"))
    scheduler = {name for service, name, _ in environment() if service == "airflow-scheduler"}
    assert {name for name in embedded if name.startswith("AIRFLOW__SCHEDULER__")} - scheduler == set()
    for service, name, value in environment():
        if name in embedded.keys() - OWN_OPTIONS:
            assert value == embedded[name], f"{service}: {name}"


def test_secrets_come_from_outside_and_have_no_default() -> None:
    secret = [(service, name, value) for service, name, value in environment() if SECRET.search(name)]
    assert len(secret) > 10
    for service, name, value in secret:
        assert any(match["kind"] == "?" for match in VARIABLE.finditer(value)), f"{service}: {name}"
        bare = VARIABLE.sub("", value)
        assert not re.search(r"://[^@/]*:[^@/]+@", bare), f"{service}: {name} holds a password"


def test_the_secrets_that_are_made_are_those_that_are_asked_for(tmp_path: Path) -> None:
    asked = {
        match["name"] for _, _, value in environment() for match in VARIABLE.finditer(value) if match["kind"] == "?"
    }
    assert make_secrets(tmp_path).returncode == 0
    assert dotenv(tmp_path / ".env").keys() == asked


def test_only_airflow_is_published_and_only_on_this_machine() -> None:
    published = {name: content["ports"] for name, content in services().items() if "ports" in content}
    assert published == {"airflow-api-server": ["127.0.0.1:${SHOPSTREAM_AIRFLOW_PORT:-8080}:8080"]}
    assert compose()["networks"]["inside"] == {"internal": True}
    outside = {name for name, content in services().items() if "outside" in content["networks"]}
    assert outside == {"airflow-api-server"}


def test_every_server_has_a_health_check_and_what_runs_once_has_none() -> None:
    for name, content in services().items():
        once = name in ONCE
        assert content["restart"] == ("no" if once else "unless-stopped"), name
        assert bool(content.get("healthcheck", {}).get("test")) is not once, name
        assert content["security_opt"] == ["no-new-privileges:true"], name


def test_every_dependency_has_the_condition_that_fits() -> None:
    for name, content in services().items():
        for other, terms in content.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert terms == {"condition": wanted}, f"{name} on {other}"


def test_what_must_survive_is_on_a_named_volume() -> None:
    mounted = {
        (name, volume.split(":")[1]): volume.split(":")[0]
        for name, content in services().items()
        for volume in content.get("volumes", [])
    }
    assert {source for source in mounted.values() if not source.startswith("./")} == set(compose()["volumes"])
    for place in (
        ("kafka", "/var/lib/kafka/data"),
        ("mongodb", "/data/db"),
        ("postgres", "/var/lib/postgresql/data"),
        ("airflow-scheduler", "/var/lib/shopstream"),
    ):
        assert place in mounted
    assert services()["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"
    bound = [source for source in mounted.values() if source.startswith("./")]
    assert all((REPOSITORY / source).is_file() for source in bound)
