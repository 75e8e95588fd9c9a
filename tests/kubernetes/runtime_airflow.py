"""A small Airflow on this machine that runs jobs as pods of the test cluster: its processes are those of the
embedded stack, with a home of their own.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded import airflow
from embedded.airflow_api import AirflowApi
from tests.kubernetes.cluster import REPOSITORY
from tests.stack import INSTALLED, free_ports, wait_for

USER, PASSWORD = "admin", "admin"
START_SECONDS = 180.0


@dataclass(frozen=True)
class Attempt:
    """One try of a task: its state, and the messages of its log with their levels."""

    state: str
    number: int
    log: list[tuple[str, str]]

    @property
    def text(self) -> str:
        """The messages."""
        return "\n".join(message for _, message in self.log)


class Airflow:
    """A running Airflow."""

    def __init__(self, url: str, password: str = PASSWORD) -> None:
        self.api = AirflowApi(url, USER, password)

    def instance(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """A task's state, number of tries and so on."""
        found: dict[str, Any] = self.api.request(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        )
        return found

    def await_task(
        self, dag_id: str, run_id: str, task_id: str, done: Callable[[dict[str, Any]], bool], seconds: float = 180
    ) -> dict[str, Any]:
        """Wait until a task's instance is as wanted."""
        wait_for(lambda: done(self.instance(dag_id, run_id, task_id)), seconds, f"{dag_id}.{task_id}")
        return self.instance(dag_id, run_id, task_id)

    def log(self, dag_id: str, run_id: str, task_id: str, number: int = 1) -> list[tuple[str, str]]:
        """Level and message of each line of a task's log; none before the try has begun."""
        if int(self.instance(dag_id, run_id, task_id)["try_number"]) < number:
            return []
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{number}?full_content=true"
        lines = self.api.request("GET", path)["content"]
        told = [line for line in lines if isinstance(line, dict)]
        return [(str(line.get("level")), _message(line)) for line in told]

    def outcome(self, dag_id: str, task_id: str, conf: dict[str, Any] | None = None) -> Attempt:
        """Run a DAG, and return how the last try of a task ended."""
        run_id = self.api.trigger(dag_id, conf)
        self.api.wait(dag_id, run_id, seconds=300)
        return self.attempt(dag_id, run_id, task_id)

    def attempt(self, dag_id: str, run_id: str, task_id: str) -> Attempt:
        """Return the last try of a task."""
        instance = self.instance(dag_id, run_id, task_id)
        number = int(instance["try_number"])
        return Attempt(str(instance["state"]), number, self.log(dag_id, run_id, task_id, number))


def _message(line: Mapping[str, Any]) -> str:
    """A line of the log, with the exception that it tells of."""
    details = [f"{one.get('exc_type')}: {one.get('exc_value')}" for one in line.get("error_detail") or ()]
    return "\n".join([str(line.get("event", "")), *details])


def environment(home: Path, dags: Path, url: str, task_url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of its processes: nothing of this shell's own Airflow or platform."""
    (home / "passwords.json").write_text(json.dumps({USER: PASSWORD}))
    settings = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__PLUGINS_FOLDER": REPOSITORY / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        # Imports of several tasks at once take their time on a busy machine.
        "CORE__DAGBAG_IMPORT_TIMEOUT": 120,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": home / "passwords.json",
        "CORE__EXECUTION_API_SERVER_URL": f"{task_url}/execution/",
        "CORE__HOSTNAME_CALLABLE": "builtins.str",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "LOGGING__BASE_LOG_FOLDER": home / "logs" / "tasks",
        "API__HOST": "127.0.0.1",
        "API__PORT": url.rpartition(":")[2],
        "API__WORKERS": 1,
        "API__BASE_URL": url,
        "API__SECRET_KEY": "a secret of the tests",
        "API_AUTH__JWT_SECRET": "another secret of the tests, long enough to sign with" * 2,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": home / "bundles",
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "SHOPSTREAM_", "MONGODB_", "KAFKA_", "KUBECONFIG"))
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        **variables,
    }


@contextmanager
def running_airflow(dags: Path, variables: Mapping[str, str]) -> Iterator[Airflow]:
    """Bring up an Airflow with the DAGs of a folder, and leave nothing of it behind.

    Args:
        dags: The folder.
        variables: What its tasks see besides.
    """
    home = Path(tempfile.mkdtemp(prefix="shopstream-airflow-"))
    port, task_port = free_ports(2)
    url = f"http://127.0.0.1:{port}"
    environ = environment(home, dags, url, f"http://127.0.0.1:{task_port}", variables)
    python = str(INSTALLED / "venvs" / "airflow" / "bin" / "python")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        migrated = subprocess.run(
            [python, "-m", "airflow", "db", "migrate"], env=environ, capture_output=True, text=True
        )
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        for name in airflow.COMMANDS:
            with (home / f"{name}.log").open("wb") as output:
                command = [python, "-m", "airflow", *airflow.arguments(name, task_port)]
                processes.append(
                    subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
                )
        wait_for(lambda: is_healthy(url), START_SECONDS, "a healthy Airflow")
        yield Airflow(url)
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            _end(process)
        shutil.rmtree(home, ignore_errors=True)


def is_healthy(url: str) -> bool:
    """Whether the Airflow there says that its processes are well."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/v2/monitor/health", timeout=5) as answer:
            health = json.load(answer)
    except OSError:
        return False
    return all(
        health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
