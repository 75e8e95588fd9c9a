"""The command and the environment of processes on the Spark side of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from shopstream.config import PROJECT, Config
from shopstream.runtimes.base import JobRuntimeError


def spark_command(config: Config, job: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command line of `spark_jobs.jobs.<job>`.

    Raises:
        JobRuntimeError: The Spark environment is not installed.
    """
    if not config.spark_python.is_file():
        raise JobRuntimeError(f"SHOPSTREAM_SPARK_PYTHON={config.spark_python} does not exist (`make up` installs it)")
    return [str(config.spark_python), "-m", f"spark_jobs.jobs.{job}", *arguments]


def job_environment(config: Config, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what a process of the Spark side gets to see of this task's environment.

    Everything, so that it shares the configuration and carries the marks of the stack it belongs to, but for
    Airflow's own settings (its keys and database are no business of a job) and this Python's module path.
    """
    kept = {name: value for name, value in env.items() if not name.lstrip("_").startswith("AIRFLOW")}
    return {
        **kept,
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        # Both sides must mean the same folders, also where the task relies on defaults.
        "SHOPSTREAM_HOME": str(config.home),
        "SHOPSTREAM_DATA_DIR": str(config.data_dir),
    }
