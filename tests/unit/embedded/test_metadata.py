"""Airflow's metadata database, made by a stand-in for Airflow's command."""

import sys
from pathlib import Path

import pytest

from embedded import airflow
from embedded.config import Settings
from embedded.credentials import Credentials
from embedded.errors import StackError

COMMAND = """#!{python}
import pathlib, sys
with open("commands", "a") as commands:
    commands.write(" ".join(sys.argv[3:]) + "\\n")
sys.exit(sys.argv[3] == {refused!r})
"""


def stand_in(settings: Settings, refused: str = "") -> Path:
    """Put the stand-in where Airflow's Python would be; returns the file with what it was asked for."""
    python = airflow.python(settings)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(COMMAND.format(python=sys.executable, refused=refused))
    python.chmod(0o755)
    for folder in (settings.state, settings.logs):
        folder.mkdir(parents=True, exist_ok=True)
    return settings.state / "airflow" / "commands"


def test_the_database_is_made_with_its_pools_once(settings: Settings, secrets: Credentials) -> None:
    commands = stand_in(settings)
    for _ in range(2):
        airflow.prepare(settings, secrets, {})
    assert commands.read_text().splitlines() == ["db migrate", f"pools import {airflow.POOLS}"]


def test_it_is_made_again_when_the_pools_differ(
    settings: Settings, secrets: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = stand_in(settings)
    airflow.prepare(settings, secrets, {})
    (tmp_path / "pools.json").write_text("{}")
    monkeypatch.setattr(airflow, "POOLS", tmp_path / "pools.json")
    airflow.prepare(settings, secrets, {})
    assert commands.read_text().splitlines()[-1] == f"pools import {tmp_path / 'pools.json'}"


def test_pools_that_cannot_be_made_stop_the_start(settings: Settings, secrets: Credentials) -> None:
    commands = stand_in(settings, refused="pools")
    for _ in range(2):
        with pytest.raises(StackError, match="pools import fails"):
            airflow.prepare(settings, secrets, {})
    assert len(commands.read_text().splitlines()) == 4
