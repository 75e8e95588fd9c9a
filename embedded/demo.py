"""`demo`: a month of a small shop, from a file to live analytics and trained models, driven by the DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from embedded.airflow_api import AirflowApi
from embedded.config import REPOSITORY
from embedded.errors import StackError
from embedded.progress import Progress
from embedded.stack import Stack
from embedded.summary import summary
from embedded.up import Up, where_to_click

DAGS = {"seed_dimensions", "replay_events", "streaming_lifecycle", "data_quality", "train_models"}
# Every task has a limit of its own; a file of your own may be large.
_RUN_SECONDS = 24 * 3600.0
_ASSET_RUN_SECONDS = 30.0
_REMINDER_SECONDS = 15.0


class _PersonNeeded(Exception):  # noqa: N818  (a state of affairs)
    """A task waits for somebody's decision."""


class Demo:
    """One run of the demo.

    Args:
        stack: The stack to run it on; it is brought up first.
        progress: Where to say what happens.
        events: The user's events file, or None for a generated month.
    """

    def __init__(self, stack: Stack, progress: Progress, events: Path | None) -> None:
        self._stack = stack
        self._progress = progress
        self._events = events
        self._environment = {**os.environ, **stack.exported()}

    def run(self) -> None:
        """Run it and print the summary.

        Raises:
            StackError: A step failed; the message names it and where to read on.
        """
        events = self._events or self._generated()
        facts = {"file": str(events), **self._job("inspect_events", "--file", str(events))}
        Up(self._stack, self._progress).run()
        login = self._stack.credentials
        api = AirflowApi(self._stack.settings.airflow_url, login.airflow_user, login.airflow_password)
        api.await_dags(DAGS)
        self._run_dag(api, "seed_dimensions", {"file": str(events)})
        stream = api.trigger("streaming_lifecycle", {"action": "ensure"})
        before = self._driver()
        self._warn_if_late(before, facts)
        self._run_dag(api, "replay_events", {"file": str(events)})
        self._finish(api, "streaming_lifecycle", stream)
        drained = self._job("await_stream")
        training = self._run_dag(api, "train_models", {"as_of": facts["as_of"]})
        quality, finding = self._quality_run(api)
        print(summary(self._stack, facts, drained, before, api.task_states("train_models", training), quality))
        print(where_to_click(self._stack))
        if finding:
            raise finding

    def _driver(self) -> dict[str, Any]:
        """Return what the streaming application last said of itself."""
        with MongoClient[dict[str, Any]](self._stack.mongodb_uri, tz_aware=True) as client:
            return client[self._stack.settings.database]["stream_health"].find_one({"_id": "driver"}) or {}

    def _warn_if_late(self, driver: dict[str, Any], facts: dict[str, Any]) -> None:
        watermark = driver.get("watermark")
        if watermark and datetime.fromisoformat(facts["last_event"]) < watermark:
            self._progress.say(
                f"note: the platform has seen events up to {watermark:%Y-%m-%d %H:%M}; what is older is late and "
                "goes to enriched_events, not to closed windows and visits (for a clean demo: make reset)"
            )

    def _generated(self) -> Path:
        target = self._stack.settings.data_dir / "data" / "demo-month.csv.gz"
        if not target.exists():
            self._progress.say("events: generating a month of a small shop")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._python("data/generate_events.py", "--out", str(target))
        return target

    def _run_dag(self, api: AirflowApi, dag_id: str, conf: dict[str, Any]) -> str:
        run_id = api.trigger(dag_id, conf)
        self._finish(api, dag_id, run_id)
        return run_id

    def _finish(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        where = f"{self._stack.settings.airflow_url}/dags/{dag_id}/runs/{run_id}"

        def say(task: str, state: str) -> None:
            if state == "awaiting_input":
                raise _PersonNeeded(task)
            if state in ("running", "still running", "success", "failed", "skipped", "up_for_retry"):
                self._progress.say(f"{dag_id}: {task} {state}")

        try:
            outcome = api.wait(dag_id, run_id, _RUN_SECONDS, say, _REMINDER_SECONDS)
        except _PersonNeeded as task:
            self._progress.say(f"{dag_id}: {task} waits for your decision (Required Actions of {where}); going on")
            return
        if outcome != "success":
            broken = [task for task, state in api.task_states(dag_id, run_id).items() if state == "failed"]
            raise StackError(f"{dag_id} failed in {', '.join(broken)} (its log: {where})")

    def _quality_run(self, api: AirflowApi) -> tuple[str, StackError | None]:
        """Wait for the data-quality run that the training's asset starts; start one if none comes.

        Returns:
            Its run id, and what to say if it has failed: the data of the user may be what is wrong, and the summary
            tells more of that.
        """
        known = {run["dag_run_id"] for run in api.runs("data_quality") if run["state"] in ("success", "failed")}
        deadline = time.monotonic() + _ASSET_RUN_SECONDS
        while True:
            fresh = [run["dag_run_id"] for run in api.runs("data_quality") if run["dag_run_id"] not in known]
            if fresh:
                run_id = str(fresh[0])
                break
            if time.monotonic() > deadline:
                run_id = api.trigger("data_quality")
                break
            time.sleep(1)
        try:
            self._finish(api, "data_quality", run_id)
        except StackError as finding:
            return run_id, finding
        return run_id, None

    def _job(self, name: str, *arguments: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            self._python("-m", f"spark_jobs.jobs.{name}", *arguments, "--result", str(result))
            found: dict[str, Any] = json.loads(result.read_text())
            return found

    def _python(self, *command: str) -> None:
        self._call([str(self._stack.settings.spark_python), *command])

    def _call(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"{command[1]} ended with status {done.returncode}"])[-1]
            raise StackError(last.removeprefix("error: "))
