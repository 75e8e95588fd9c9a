"""The scripts of docker/: made-up secrets, the health check of Airflow's containers."""

from __future__ import annotations

import importlib.util
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from deployment_files import REPOSITORY, dotenv, make_secrets

spec = importlib.util.spec_from_file_location("airflow_health", REPOSITORY / "docker/airflow_health.py")
assert spec
assert spec.loader
airflow_health = importlib.util.module_from_spec(spec)
spec.loader.exec_module(airflow_health)


def test_secrets_are_strong_different_and_private(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    assert made.returncode == 0, made.stderr
    values = dotenv(tmp_path / ".env")
    assert len(set(values.values())) == len(values) > 5
    assert all(len(value) >= 44 for value in values.values())
    # They become part of connection strings.
    assert all(value.isalnum() for name, value in values.items() if name != "AIRFLOW_FERNET_KEY")
    Fernet(values["AIRFLOW_FERNET_KEY"])
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert not any(value in made.stdout + made.stderr for value in values.values())


def test_secrets_are_never_replaced(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = (tmp_path / ".env").read_text()
    again = make_secrets(tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("error: .env exists (")
    assert again.stderr.count("\n") == 1
    assert (tmp_path / ".env").read_text() == before


def test_asking_for_help_makes_nothing(tmp_path: Path) -> None:
    asked = make_secrets(tmp_path, "--help")
    assert (asked.returncode, "passwords" in asked.stdout) == (0, True)
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (["tini", "-s", "--", "airflow", "scheduler", "--skip-serve-logs", ""], "scheduler"),
        (["tini", "-s", "--", "bash", "-euc", "umask 077\nexec airflow api-server\n", ""], "api-server"),
        (["tini", "-s", "--", "airflow", "db", "migrate", ""], None),
        (["tini", "-s", "--", "bash", "-c", "echo scheduler", ""], None),
    ],
)
def test_health_check_knows_what_runs_in_its_container(command: list[str], part: str | None) -> None:
    assert airflow_health.role(command) == part


def test_health_check_asks_the_api_server_of_its_airflow() -> None:
    environ = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api:9000/execution/", "AIRFLOW__API__PORT": "8081"}
    assert airflow_health.report_url("scheduler", environ) == "http://api:9000/api/v2/monitor/health"
    assert airflow_health.report_url("api-server", environ) == "http://localhost:8081/api/v2/monitor/health"
    assert airflow_health.report_url("triggerer", {}) == "http://localhost:8080/api/v2/monitor/health"


def test_health_check_judges_its_own_part_only() -> None:
    report = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy"},
        "triggerer": {"status": None},
    }
    assert airflow_health.problem("api-server", report) is None
    assert airflow_health.problem("scheduler", report) == "scheduler: unhealthy"
    assert airflow_health.problem("triggerer", report) == "triggerer: no heartbeat"
    assert airflow_health.problem("dag-processor", report) == "dag-processor: no heartbeat"
