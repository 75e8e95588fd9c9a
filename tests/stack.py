"""A whole platform of its own for a test session: own home, own ports, the installed environments."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from embedded.airflow_api import AirflowApi

REPOSITORY = Path(__file__).resolve().parent.parent
INSTALLED = Path(os.environ.get("SHOPSTREAM_HOME") or REPOSITORY / ".shopstream")
PORTS = (
    "SHOPSTREAM_AIRFLOW_PORT",
    "SHOPSTREAM_AIRFLOW_TASK_PORT",
    "SHOPSTREAM_KAFKA_PORT",
    "SHOPSTREAM_KAFKA_CONTROLLER_PORT",
    "SHOPSTREAM_MONGODB_PORT",
)


@dataclass
class RunningStack:
    """A stack that is up.

    Attributes:
        environ: What the launcher is called with.
        exported: What the stack's processes know (`python -m embedded env`).
        api: Session with its Airflow.
        db: Its database.
        login: Name and password of the UI.
    """

    environ: dict[str, str]
    exported: dict[str, str]
    api: AirflowApi
    db: Database[dict[str, Any]]
    login: tuple[str, str]

    @property
    def url(self) -> str:
        """Base URL of the UI."""
        return f"http://127.0.0.1:{self.environ['SHOPSTREAM_AIRFLOW_PORT']}"

    def launcher(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the launcher."""
        return launcher(self.environ, *command)

    def job(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a job as a task would."""
        return subprocess.run(
            [sys.executable, "-m", f"spark_jobs.jobs.{name}", *arguments],
            env={**self.environ, **self.exported},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

    def run_dag(self, dag_id: str, conf: dict[str, Any] | None = None, expect: str = "success") -> str:
        """Trigger a DAG, wait for its end and require its outcome; returns the run id."""
        run_id = self.api.trigger(dag_id, conf)
        outcome = self.api.wait(dag_id, run_id, seconds=900)
        states = self.api.task_states(dag_id, run_id)
        logs = {
            task: self.api.task_log(dag_id, run_id, task)[-15:] for task, state in states.items() if state == "failed"
        }
        assert outcome == expect, f"{dag_id} {outcome}: {states}\n{logs}"
        return run_id


def launcher(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m embedded COMMAND`; its output is captured."""
    python = Path(environ["SHOPSTREAM_HOME"]) / "venvs/stack/bin/python"
    return subprocess.run(
        [str(python), "-m", "embedded", *command],
        env=environ,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until `condition` holds; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {seconds:.0f} s"
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on by now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def port_settings() -> dict[str, str]:
    """Give every server of a stack a port that nobody listens on by now, as settings."""
    return dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))


def new_environ(home: Path) -> dict[str, str]:
    """Describe a stack in `home` that shares the installed environments and jars, with ports of its own."""
    home.mkdir(parents=True)
    (home / "shopstream-home").write_text("A test's stack.\n")
    for shared in ("venvs", "jars"):
        (home / shared).symlink_to(INSTALLED / shared)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SHOPSTREAM_", "MONGODB_URI", "KAFKA_"))
    }
    return {**kept, **port_settings(), "SHOPSTREAM_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


@contextmanager
def running_stack(variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[RunningStack]:
    """Bring up a stack, and leave nothing of it behind.

    Args:
        variables: Settings of the platform besides home and ports.
    """
    folder = Path(tempfile.mkdtemp(prefix="shopstream-test-"))
    environ = {**new_environ(folder / "home"), **variables}
    try:
        up = launcher(environ, "up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield _connect(environ)
    finally:
        down = launcher(environ, "down")
        assert down.returncode == 0, down.stdout + down.stderr
        shutil.rmtree(folder)


def _connect(environ: dict[str, str]) -> RunningStack:
    lines = launcher(environ, "env").stdout.splitlines()
    exported = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)
    clicks = launcher(environ, "up").stdout.splitlines()[-1].split()
    login = clicks[clicks.index("user:") + 1], clicks[clicks.index("password:") + 1]
    api = AirflowApi(clicks[1], *login)
    client: MongoClient[dict[str, Any]] = MongoClient(exported["MONGODB_URI"], tz_aware=True)
    return RunningStack(environ, exported, api, client[exported["SHOPSTREAM_DATABASE"]], login)
