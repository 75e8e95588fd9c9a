"""The parts of `make deploy` and `make deploy-check` that need no cluster."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helm_files import REPOSITORY

from deploy.apply import waiting
from deploy.cluster import version_of
from deploy.credentials import WANTED
from deploy.deployed import as_deployed
from deploy.errors import DeployError
from deploy.findings import LOOK, MISSING, OK, Finding, summary, table
from deploy.installed import images_of
from deploy.objects import documents
from deploy.parts import PARTS, chosen
from deploy.rights import Right, needed
from deploy.settings import Settings
from deploy.tools import Object, Tools


def deploy(*arguments: str, path: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    """Run the command line without kubectl and helm."""
    env = {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "deploy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"namespace": "Shop"}, "NAMESPACE='Shop'"),
        ({"tag": "latest"}, "TAG='latest' is no tag that stays the same"),
        ({"tag": "a b"}, "TAG='a b'"),
        ({"registry": "https://registry.example.com"}, "host and path only"),
        ({"registry": "registry.example.com/"}, "host and path only"),
        ({"access_mode": "rwx"}, "ACCESS_MODE='rwx' is none of ReadWriteMany, ReadWriteOnce"),
        ({"charts": Path("/nonexistent")}, "CHARTS=/nonexistent is no folder"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(DeployError, match=re.escape(complaint)):
        Settings(**settings)  # type: ignore[arg-type]


def test_names_of_images() -> None:
    assert Settings(tag="1").image("spark") == "shopstream-spark:1"
    assert (
        Settings(tag="1", registry="r.example.com/team").image("airflow") == "r.example.com/team/shopstream-airflow:1"
    )


def test_parts_are_chosen_in_order() -> None:
    everything = [part.name for part in chosen([], [], [])]
    assert everything == [part.name for part in PARTS if part.name != "quota"]
    assert everything.index("secrets") < everything.index("kafka") < everything.index("airflow")
    assert everything.index("strimzi") < everything.index("kafka")
    assert [part.name for part in chosen(["airflow", "platform"], [], [])] == ["platform", "airflow"]
    names = [part.name for part in PARTS]
    # Old DAGs must not start jobs of the new version for longer than Airflow takes.
    assert names.index("airflow") == names.index("settings") + 1
    assert "monitoring" not in [part.name for part in chosen([], ["monitoring"], [])]
    assert [part.name for part in chosen(["platform"], [], ["quota"])] == ["platform", "quota"]
    with pytest.raises(DeployError, match="there is no part kafak"):
        chosen(["kafak"], [], [])


def test_bad_input_is_one_line_and_a_status() -> None:
    for arguments, complaint in (
        (("apply", "--tag", "latest"), "error: TAG='latest'"),
        (("apply", "--only", "kafak"), "error: there is no part kafak"),
        (("apply",), "error: kubectl is not on PATH (install it)"),
    ):
        done = deploy(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(complaint)
        assert done.stderr.count("\n") == 1


def test_a_check_without_programs_says_so() -> None:
    done = deploy("check")
    assert done.returncode == 1
    assert re.search(r"^MISSING +kubectl +not on PATH\n +-> install kubectl$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("0 OK, 2 MISSING, 0 LOOK\n")


def test_help_is_there() -> None:
    for arguments in (("--help",), ("apply", "--help"), ("check", "--help")):
        assert deploy(*arguments).returncode == 0


def test_secrets_are_made_up_well() -> None:
    known: dict[str, dict[str, str]] = {}
    for wanted in WANTED:
        made = known[wanted.name] = {}
        for key, make in wanted.keys.items():
            made[key] = make(known)
    assert 6 <= len(known["shopstream-mongodb"]["keyfile"]) <= 1024
    assert len(base64.urlsafe_b64decode(known["shopstream-airflow"]["fernet-key"])) == 32
    assert set(json.loads(known["shopstream-airflow"]["passwords.json"])) == {"admin", "analyst"}
    uri = urlsplit(known["shopstream-secrets"]["mongodb-uri"])
    assert (uri.username, uri.password) == ("shopstream", known["shopstream-mongodb"]["application-password"])
    assert uri.query.startswith("replicaSet=shopstream&authSource=shopstream")
    connection = urlsplit(known["shopstream-airflow"]["connection"])
    assert connection.password == known["shopstream-airflow"]["database-password"]
    values = [value for made in known.values() for value in made.values() if value != "admin"]
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 24


def test_yaml_is_split_into_objects() -> None:
    text = (
        "# a comment\napiVersion: v1\nkind: Secret\nmetadata:\n  labels:\n    name: no\n  name: yes\n---\n---\n# none\n"
    )
    (one,) = documents(text)
    assert (one.api_version, one.kind, one.name, one.path) == ("v1", "Secret", "yes", "secret/yes")
    assert [two.kind for two in documents(text + "---\nkind: Job\nmetadata:\n  name: x\n")] == ["Secret", "Job"]


def test_table_and_summary() -> None:
    findings = [
        Finding("a", OK, "good", "nothing"),
        Finding("longer", MISSING, "bad", "do it"),
        Finding("c", LOOK, "?"),
    ]
    assert table(findings) == ("OK      a       good\nMISSING longer  bad\n                -> do it\nLOOK    c       ?")
    assert summary(findings) == "1 OK, 1 MISSING, 1 LOOK"


def test_rights_in_words_and_as_questions() -> None:
    assert str(Right("get", "pods/log", "", "x")) == "get pods/log in x"
    assert str(Right("create", "clusterroles", "rbac.authorization.k8s.io")) == (
        "create clusterroles.rbac.authorization.k8s.io in the cluster"
    )
    assert Right("get", "pods/log", "", "x").attributes()["subresource"] == "log"
    assert all(right.verb in ("patch", "create") for right in needed("x"))


def test_versions() -> None:
    assert version_of("v1.33.13") == (1, 33)
    assert version_of("v3.18.6+gabc") < (3, 19) < version_of("v4.0.0")
    assert version_of("nonsense") == (0, 0)


def test_images_of_a_node() -> None:
    images = [{"names": ["docker.io/library/a:1", "a@sha256:0"]}, {"names": None}, {"sizeBytes": 1}]
    assert images_of({"status": {"images": images}}) == {"docker.io/library/a:1", "a@sha256:0"}
    assert images_of({"status": {}}) == set()


def test_pods_that_are_waited_for() -> None:
    ready = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    done = {"metadata": {"name": "b"}, "status": {"phase": "Succeeded"}}
    stuck = {
        "metadata": {"name": "c"},
        "status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
    }
    assert waiting([ready, done]) == "not ready: no pod"
    assert waiting([ready, stuck]) == "not ready: c ImagePullBackOff"
    assert waiting([stuck] * 6).endswith("...")


@pytest.mark.parametrize(("manager", "kept"), [("shopstream", {"storage_class": "fast"}), ("kube-apiserver", {})])
def test_what_is_not_said_is_as_deployed(manager: str, kept: dict[str, str]) -> None:
    class Cluster(Tools):
        def get(self, *arguments: str) -> Object | None:
            if arguments[0] == "configmap":
                return {"data": {"SHOPSTREAM_SPARK_IMAGE": "host:5000/team/shopstream-spark:1.4.0"}}
            fields = {"manager": manager, "fieldsV1": {"f:spec": {"f:storageClassName": {}}}}
            spec = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}
            return {"metadata": {"managedFields": [fields]}, "spec": spec}

    image = {"registry": "host:5000/team", "tag": "1.4.0", "access_mode": "ReadWriteOnce"}
    assert as_deployed(Cluster(), "shop") == image | kept
