"""Batch jobs as processes of this machine."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shopstream.config import Config
from shopstream.joblog import JobLog, redact
from shopstream.runtimes import guard
from shopstream.runtimes.base import JobOutcome, JobRuntimeError
from shopstream.runtimes.environment import job_environment, spark_command

log = logging.getLogger(__name__)
joblog = logging.getLogger("shopstream.job")

# Spark needs a second or two to leave on SIGTERM. A task that is killed from the UI has five seconds itself;
# its job may use the rest after the task is gone, the guard keeps watch.
GRACE_SECONDS = 10


class LocalBatchRuntime:
    """Runs a job with the Python of the Spark environment, behind a guard that ends it with its task."""

    def __init__(self, config: Config, grace_seconds: float = GRACE_SECONDS) -> None:
        self._config = config
        self._grace = grace_seconds
        self._process: subprocess.Popen[str] | None = None

    def run(self, job: str, arguments: Sequence[str]) -> JobOutcome:
        """Run `spark_jobs.jobs.<job>` to its end; see `BatchRuntime`."""
        command = spark_command(self._config, job, arguments)
        work = self._config.data_dir / "work"
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobRuntimeError(f"cannot write to {work}: {error.strerror} (check SHOPSTREAM_DATA_DIR)") from None
        with tempfile.TemporaryDirectory(prefix="result-", dir=work) as folder:
            result = Path(folder) / "result.json"
            return self._run([*command, "--result", str(result)], work, result)

    def _run(self, command: list[str], work: Path, result: Path) -> JobOutcome:
        log.info("Command: %s", redact(shlex.join(command)))
        output = JobLog()
        process = self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(self._grace), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=work,
            env=job_environment(self._config),
            # Airflow signals the task's process group; the job gets its signals from the guard only.
            start_new_session=True,
        )
        try:
            assert process.stdout  # noqa: S101  (for mypy: it is a pipe)
            for line in process.stdout:
                level, text = output.read(line)
                joblog.log(level, "%s", text)
            status = process.wait()
        finally:
            self._settle(process)
        return JobOutcome(status, _read(result), output.error, output.skipped, tuple(output.tail))

    def end(self) -> None:
        """Ask the guard to end the job."""
        if self._process and self._process.poll() is None:
            log.warning("Ending the job: SIGTERM to its process group, SIGKILL after %g s", self._grace)
            self._process.terminate()

    def _settle(self, process: subprocess.Popen[str]) -> None:
        """Leave no job behind when an exception (such as Airflow's time-out) ends the reading of its output."""
        assert process.stdin  # noqa: S101
        assert process.stdout  # noqa: S101
        process.stdin.close()
        try:
            process.wait(self._grace + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _read(path: Path) -> dict[str, Any] | None:
    """Return the job's result, or None where it wrote none or not a JSON object."""
    try:
        result = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) else None
