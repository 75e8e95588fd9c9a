"""The Dockerfile and what goes with it: locks, users, build context."""

from __future__ import annotations

import re
import subprocess

import pytest
from deployment_files import REPOSITORY, stages
from drawing.variables import variables

FINAL = {"airflow": "50000:0", "spark": "185:0", "local": "50000:0"}
LOCKS = ("docker/requirements-build.txt", "docker/requirements-server.txt")
FILES = ("Dockerfile", ".dockerignore", "docker-compose.yaml")


def lock(name: str) -> dict[str, str]:
    """Version of each package of a lock."""
    text = (REPOSITORY / name).read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.M))


@pytest.mark.parametrize(("stage", "user"), FINAL.items())
def test_images_run_as_a_user_without_rights_given_by_number(stage: str, user: str) -> None:
    assert [line for line in stages()[stage] if line.startswith("USER")][-1] == f"USER {user}"


def test_bases_are_an_argument_or_another_stage() -> None:
    found = stages()
    sources = [line.split()[1] for lines in found.values() for line in lines if line.startswith("FROM")]
    assert set(sources) <= found.keys() | {"${PYTHON_IMAGE}"}
    assert found[""] == ["ARG PYTHON_IMAGE=python:3.11-slim-bookworm"]


def test_final_images_hold_nothing_that_is_built_in_them() -> None:
    for stage in FINAL:
        for line in stages()[stage]:
            assert not re.search(r"\b(apt-get|pip|jlink|gcc|make|curl|wget)\b", line), line


def test_packages_come_from_hashed_locks_only() -> None:
    installs = [
        line for lines in stages().values() for line in lines if re.search(r"pip install|RUN install-lock", line)
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "install-lock" in line for line in installs)
    assert "--require-hashes" in (REPOSITORY / "docker/install-lock").read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_a_hash_for_every_package(name: str) -> None:
    packages = re.split(r"^(?=[\w.-]+==)", (REPOSITORY / name).read_text(), flags=re.M)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_agree_where_they_share_a_package(name: str) -> None:
    airflow = lock("requirements.txt")
    differing = {package for package, version in lock(name).items() if airflow.get(package, version) != version}
    assert differing == set()


def test_what_is_copied_exists_and_is_let_into_the_build() -> None:
    allowed = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert next(line for line in allowed if not line.startswith("#")) == "*"
    patterns = [line[1:] for line in allowed if line.startswith("!")]
    copied = {
        source
        for lines in stages().values()
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for source in [word for word in line.split()[1:] if not word.startswith("--")][:-1]
    }
    assert {"dags", "spark_jobs", "requirements.txt"} <= copied
    for source in copied:
        path = REPOSITORY / source
        assert path.exists(), source
        assert any(path.match(pattern) or source == pattern for pattern in patterns), f"{source} is ignored"
    assert all(list(REPOSITORY.glob(pattern)) for pattern in patterns)


def test_no_variable_of_the_platform_is_unknown() -> None:
    names = {name for lines in stages().values() for line in lines for name in re.findall(r"(SHOPSTREAM_\w+)=", line)}
    assert names
    assert names - variables().keys() == set()


@pytest.mark.parametrize("name", FILES)
def test_no_registry_and_no_secret_is_named(name: str) -> None:
    text = re.sub(r"\$\{[^}]*\}", "", (REPOSITORY / name).read_text())
    assert not re.search(r"\b[\w-]+\.(io|com|org|net|dev)/", text)
    assert not re.search(r"(?i)(password|secret|token)\w*[=:] *[\w'\"]*[0-9a-f]{8,}", text)


def test_secrets_stay_out_of_git() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=REPOSITORY, check=False)
    assert ignored.returncode == 0, ".env is not in .gitignore"
