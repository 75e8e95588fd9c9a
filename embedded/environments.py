"""The Python environments under SHOPSTREAM_HOME/venvs, each an exact copy of one hashed lock file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.config import REPOSITORY
from embedded.errors import StackError

STAMP = "shopstream-stamp"
DEV_STAMP = "shopstream-dev-stamp"
DEV_LOCK = REPOSITORY / "requirements-dev.txt"


@dataclass(frozen=True)
class Environment:
    """A virtual environment at `path` that holds what `lock` lists, and nothing else."""

    name: str
    lock: Path
    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin/python"

    def is_ready(self) -> bool:
        """Whether it was completed from this very lock by this very Python."""
        return self.python.exists() and _read(self.path / STAMP) == stamp(self.lock)

    def has_dev_tools(self) -> bool:
        """Whether the test tools of the current lock are installed on top."""
        return _read(self.path / DEV_STAMP) == stamp(DEV_LOCK)


def environment(venvs: Path, name: str) -> Environment:
    """The environment `name` (airflow, spark, stack, java, bootstrap) below `venvs`."""
    suffix = "" if name == "airflow" else f"-{name}"
    return Environment(name, REPOSITORY / f"requirements{suffix}.txt", venvs / name)


def stamp(lock: Path) -> str:
    """Identity of an environment made from `lock` by the running Python."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{digest} {sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}\n"


def make_bootstrap(target: Environment, log: Path) -> None:
    """Create the environment that holds uv, with the interpreter's own venv and pip."""
    _clear(target.path)
    run(
        [sys.executable, "-m", "venv", str(target.path)],
        log,
        "venv cannot be created (on Debian: install python3-venv)",
    )
    pip = [str(target.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    run([*pip, "-r", str(target.lock)], log, "uv cannot be installed (is there access to the package index?)")
    (target.path / STAMP).write_text(stamp(target.lock))


def make(target: Environment, uv: Path, log: Path) -> None:
    """Create `target` from its lock, replacing whatever is there; the stamp comes last, so half of one never counts."""
    _clear(target.path)
    venv = [str(uv), "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, str(target.path)]
    run(venv, log, f"{target.name}: the environment cannot be created")
    sync = [str(uv), "pip", "sync", "--require-hashes", "--python", str(target.python), str(target.lock)]
    run(sync, log, f"{target.name}: the packages cannot be installed (is there access to the package index?)")
    (target.path / STAMP).write_text(stamp(target.lock))


def add_dev_tools(target: Environment, uv: Path, log: Path) -> None:
    """Install the test tools on top of `target`."""
    command = [str(uv), "pip", "install", "--require-hashes", "--python", str(target.python), "-r", str(DEV_LOCK)]
    run(command, log, f"{target.name}: the test tools cannot be installed (is there access to the package index?)")
    (target.path / DEV_STAMP).write_text(stamp(DEV_LOCK))


def run(command: list[str], log: Path, problem: str) -> None:
    """Run `command`, its output appended to `log`.

    Raises:
        StackError: `problem`, the last telling line of output and the log's path.
    """
    # Settings of the user's own shell must not redirect the installation elsewhere.
    environ = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    with log.open("ab") as output:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ).returncode
    if code:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if re.search("error|exception|failed", line, re.I)] or lines
        reason = telling[-1][:300] if telling else f"exit code {code}"
        raise StackError(f"{problem}: {reason} (whole output: {log})")


def _clear(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
