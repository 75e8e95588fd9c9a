"""Airflow's REST API, as far as the demo and the tests need it."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Set
from typing import Any

from embedded.errors import StackError

FINISHED = ("success", "failed")
PARSED_SECONDS = 90.0
_POLL_SECONDS = 1.0


class AirflowApi:
    """A session with one Airflow.

    Args:
        url: Base URL of the API server.
        user: Name to log in with.
        password: The user's password.

    Raises:
        StackError: The server does not answer or refuses the login.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        # A proxy for the internet must not be asked for this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token = ""
        self._token = self.request("POST", "/auth/token", {"username": user, "password": password})["access_token"]

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request; returns the decoded answer.

        Raises:
            StackError: No answer, or an error status; the message carries the server's reason.
        """
        request = urllib.request.Request(  # noqa: S310 - the URL is our own
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")[:300]
            raise StackError(f"Airflow answers {error.code} to {method} {path}: {reason}") from None
        except OSError as error:
            raise StackError(f"Airflow does not answer at {self._url}: {error} (make status)") from None

    def dag_ids(self) -> set[str]:
        """Return the DAGs Airflow has parsed."""
        return {dag["dag_id"] for dag in self.request("GET", "/api/v2/dags?limit=100")["dags"]}

    def await_dags(self, dag_ids: Set[str]) -> None:
        """Wait until Airflow has parsed these DAGs.

        Raises:
            StackError: It has not in time.
        """
        deadline = time.monotonic() + PARSED_SECONDS
        while missing := dag_ids - self.dag_ids():
            if time.monotonic() > deadline:
                raise StackError(
                    f"Airflow has not parsed {', '.join(sorted(missing))} (make logs COMPONENT=airflow-dag-processor)"
                )
            time.sleep(_POLL_SECONDS)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run now, as the UI's button does; returns its run id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """Return a DAG's runs, newest first."""
        found = self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns?order_by=-id&limit={limit}")
        return list(found["dag_runs"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run; of a mapped one, of each copy: `judge[3]`."""
        tasks = self.request("GET", f"{self._run_path(dag_id, run_id)}/taskInstances?limit=100")["task_instances"]
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"]
            for task in tasks
        }

    def task_log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> list[str]:
        """Return the messages of the log of a task, or of one copy of a mapped task (`judge[3]`)."""
        name, _, copy = task_id.partition("[")
        which = f"&map_index={copy.rstrip(']')}" if copy else ""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{name}/logs/{attempt}?full_content=true{which}"
        content = self.request("GET", path)["content"]
        return [line if isinstance(line, str) else str(line.get("event", "")) for line in content]

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned (its XCom)."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        return self.request("GET", path)["value"]

    def wait(
        self,
        dag_id: str,
        run_id: str,
        seconds: float,
        on_change: Callable[[str, str], None] = lambda _task, _state: None,
        reminder_seconds: float = math.inf,
    ) -> str:
        """Wait until a run has ended.

        Args:
            dag_id: The DAG.
            run_id: The run.
            seconds: Longest time to wait.
            on_change: Called with task id and new state whenever a task changes.
            reminder_seconds: Called again for tasks that run, `still running`, when so long nothing has changed.

        Returns:
            `success` or `failed`.

        Raises:
            StackError: It has not ended in time.
        """
        deadline = time.monotonic() + seconds
        known: dict[str, str | None] = {}
        told = time.monotonic()
        while True:
            run = self.request("GET", self._run_path(dag_id, run_id))
            states = self.task_states(dag_id, run_id)
            for task, state in states.items():
                if state and known.get(task) != state:
                    on_change(task, state)
                    told = time.monotonic()
            if time.monotonic() - told > reminder_seconds:
                for task in (task for task, state in states.items() if state == "running"):
                    on_change(task, "still running")
                told = time.monotonic()
            known = states
            if run["state"] in FINISHED:
                return str(run["state"])
            if time.monotonic() > deadline:
                raise StackError(f"the run {run_id} of {dag_id} is still {run['state']} after {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    @staticmethod
    def _run_path(dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"
