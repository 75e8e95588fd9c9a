"""One stack as a whole: what it is made of, with which settings it runs, how to reach it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded import credentials, environment, home, java
from embedded.config import Settings, home_of, read_settings
from embedded.credentials import Credentials
from embedded.errors import StackError
from embedded.programs import Program, programs
from embedded.supervision import Supervisor

EVENT_PARTITIONS = 3


@dataclass(frozen=True)
class Stack:
    """Settings, secrets, programs and supervisor of the stack that lives in one home."""

    settings: Settings
    credentials: Credentials
    java_home: Path
    programs: list[Program]
    supervisor: Supervisor

    @property
    def mongodb_uri(self) -> str:
        """Connection string of the database."""
        return environment.mongodb_uri(self.settings, self.credentials)

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Complete environment of its processes."""
        return environment.process_variables(environ, self.settings, self.credentials, self.java_home)

    def exported(self) -> dict[str, str]:
        """The part of its environment that developers and tests may take over."""
        jobs = environment.job_variables(self.settings, self.credentials, self.java_home)
        return jobs | environment.airflow_variables(self.settings, self.credentials)

    def record(self) -> None:
        """Keep the settings beside the running stack; they may hold a password."""
        credentials.write_private(
            _record_file(self.settings.home), json.dumps(self.settings.as_variables(), indent=2) + "\n"
        )


def described_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`. Raises StackError when they are bad."""
    known = credentials.read(home_of(environ) / "state")
    return read_settings(environ, known.mongodb_password if known else None)


def ending_settings(environ: Mapping[str, str]) -> Settings:
    """As `current_settings`, for who only ends or deletes the stack: that needs no credentials, even damaged ones."""
    try:
        return current_settings(environ)
    except credentials.DamagedError:
        return read_settings(dict(environ) | recorded_variables(home_of(environ)), None)


def current_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of the stack that runs in this home, whatever `environ` says by now; else those in `environ`."""
    recorded = recorded_variables(home_of(environ))
    if recorded:
        running = described_settings(dict(environ) | recorded)
        if Supervisor(running).is_alive():
            return running
    return described_settings(environ)


def open_stack(settings: Settings) -> Stack:
    """The stack that `settings` describe, with its secrets (generated the first time).

    Raises:
        StackError: nothing is installed, or a folder cannot be written.
    """
    java_home = java.remembered(settings.venvs / "java.json")
    if java_home is None or not settings.jars.is_dir() or not home.is_claimed(settings.home):
        raise StackError(f"{settings.home} holds no complete installation (run: make install)")
    home.claim(settings.home)
    secrets = credentials.read_or_create(settings.state)
    return Stack(settings, secrets, java_home, programs(settings, java_home), Supervisor(settings))


def recorded_variables(folder: Path) -> dict[str, str]:
    """The settings with which the stack in `folder` was last started; empty if never."""
    try:
        return {str(key): str(value) for key, value in json.loads(_record_file(folder).read_text()).items()}
    except (OSError, ValueError):
        return {}


def changed_settings(stack: Stack) -> list[str]:
    """Names of the variables that differ between `stack` and the one that was last started."""
    recorded = recorded_variables(stack.settings.home)
    return sorted(name for name, value in stack.settings.as_variables().items() if recorded.get(name, value) != value)


def _record_file(folder: Path) -> Path:
    return folder / "run/settings.json"
