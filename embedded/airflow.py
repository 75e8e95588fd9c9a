"""Airflow's metadata database, login file and health. This module never imports Airflow."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.config import REPOSITORY, Settings
from embedded.credentials import Credentials, write_private
from embedded.environments import environment, stamp
from embedded.errors import StackError

# Program name -> the part of Airflow's health report about it, and the field of its last heartbeat.
HEALTH_PARTS = {
    "airflow-api-server": ("metadatabase", None),
    "airflow-task-api": ("task_api", None),
    "airflow-scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "airflow-dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
    "airflow-triggerer": ("triggerer", "latest_triggerer_heartbeat"),
}
COMMANDS = {
    # People and tasks get a server each. In one process they can lock each other out: where a person triggers something
    # while a task has an uncommitted change in SQLite, the server waits for the lock on the very thread that has to
    # commit it (`log_action` of `airflow.api_fastapi.logging.decorators`), and nothing in it moves until the time-out.
    "airflow-api-server": ["api-server", "--apps", "core"],
    "airflow-task-api": ["api-server", "--apps", "execution"],
    # Airflow's log servers listen on every interface and cannot be told not to.
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}

POOLS = REPOSITORY / "plugins" / "pools.json"

# Health reports are read from 127.0.0.1, never through a proxy the environment may name.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def command(settings: Settings, program: str) -> list[str]:
    """Command line of one of the five processes."""
    return [str(python(settings)), "-m", "airflow", *arguments(program, settings.airflow_task_port)]


def arguments(program: str, task_port: int) -> list[str]:
    """What one of the five processes is called with; tasks are served at `task_port`, people as configured."""
    return COMMANDS[program] + (["--port", str(task_port)] if program == "airflow-task-api" else [])


def python(settings: Settings) -> Path:
    """The interpreter of Airflow's environment."""
    return environment(settings.venvs, "airflow").python


def prepare(settings: Settings, credentials: Credentials, variables: Mapping[str, str]) -> None:
    """Write the login file; create or migrate the metadata database, with pools, only when its Airflow or they differ.

    Args:
        settings: where things are.
        credentials: login to write.
        variables: the complete environment of Airflow's processes.

    Raises:
        StackError: the migration failed, or the pools cannot be created.
    """
    home = settings.state / "airflow"
    home.mkdir(exist_ok=True)
    write_private(home / "passwords.json", json.dumps({credentials.airflow_user: credentials.airflow_password}) + "\n")
    migrated, wanted = home / "migrated", stamp(environment(settings.venvs, "airflow").lock) + POOLS.read_text()
    if migrated.is_file() and migrated.read_text() == wanted:
        return
    if not migrated.exists():
        # A creation that was interrupted cannot be continued, and holds nothing yet.
        for leftover in home.glob("airflow.db*"):
            leftover.unlink()
    log = settings.logs / "airflow-migrate.log"
    with log.open("wb") as output:
        for arguments in (["db", "migrate"], ["pools", "import", str(POOLS)]):
            done = subprocess.run(
                [str(python(settings)), "-m", "airflow", *arguments],
                env=dict(variables),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            if done.returncode:
                raise StackError(f"Airflow's database cannot be prepared: {' '.join(arguments[:2])} fails (see {log})")
    migrated.write_text(wanted)


def work_folder(settings: Settings) -> Path:
    """Current directory of every process: Spark's scratch files land here, never in the user's own directory."""
    return settings.data_dir / "work"


def health(settings: Settings, timeout: float = 3.0) -> dict[str, dict[str, str]]:
    """Airflow's own health reports; without the parts whose server does not answer within `timeout` seconds."""
    report: dict[str, dict[str, str]] = _json(f"{settings.airflow_url}/api/v2/monitor/health", timeout)
    task_api: dict[str, str] = _json(f"{settings.airflow_task_url}/execution/health", timeout)
    return report | {"task_api": task_api}


def _json(url: str, timeout: float) -> dict[str, Any]:
    """What a server of our own answers, empty where it does not."""
    try:
        with _OPENER.open(url, timeout=timeout) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except (OSError, urllib.error.URLError, ValueError):
        return {}


def is_healthy(program: str, report: Mapping[str, Mapping[str, str]], started: float) -> bool:
    """Whether `report` speaks well of `program`.

    Args:
        program: one of COMMANDS.
        report: from `health`.
        started: when its process started, seconds since the epoch. An older heartbeat is that of a predecessor, which
            Airflow takes for a sign of life for half a minute.
    """
    part, heartbeat_field = HEALTH_PARTS[program]
    details = report.get(part) or {}
    if details.get("status") != "healthy":
        return False
    if heartbeat_field is None:
        return True
    heartbeat = details.get(heartbeat_field)
    return bool(heartbeat) and datetime.fromisoformat(str(heartbeat)).timestamp() >= started
