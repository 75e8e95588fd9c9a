"""The command line: messages, tables, and what needs a confirmation."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest

from embedded import home
from embedded.config import REPOSITORY, Settings, read_settings
from embedded.errors import StackError
from embedded.logs import tail
from embedded.progress import Progress
from embedded.reset import confirm, reset
from embedded.stack import changed_settings, current_settings, open_stack
from embedded.status import duration, status
from embedded.supervision import Supervisor
from embedded.up import last_words


@pytest.fixture
def installed(settings: Settings) -> Settings:
    """A home that looks installed."""
    home.claim(settings.home)
    settings.jars.mkdir()
    java = settings.home / "jdk/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text("")
    java.chmod(0o755)
    settings.venvs.mkdir()
    (settings.venvs / "java.json").write_text(json.dumps({"seen": [], "java_home": str(settings.home / "jdk")}))
    return settings


def run(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m embedded` without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "embedded", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)} | dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_errors_are_one_line_and_change_nothing(environ: Mapping[str, str], settings: Settings) -> None:
    for command in ("up", "down", "status", "mongodb-uri", "env", "reset"):
        result = run(environ, command)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert not settings.home.exists()


def test_damaged_credentials_keep_nobody_from_starting_over(environ: Mapping[str, str], installed: Settings) -> None:
    installed.state.mkdir(parents=True, exist_ok=True)
    (installed.state / "secrets.json").write_text("")
    assert "make reset" in run(environ, "up").stderr
    assert run(environ, "down").stdout == "nothing was running\n"
    assert run(environ, "reset", "--yes").returncode == 0
    assert not installed.state.exists()


def test_a_job_that_does_not_exist_is_named(environ: Mapping[str, str]) -> None:
    result = run(environ, "job", "none_such", "--reason", "x")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: there is no job none_such (jobs are the modules of spark_jobs/jobs)\n"


def test_status_of_a_stack_that_does_not_run(installed: Settings) -> None:
    table, code = status(open_stack(installed))
    assert code == 3
    lines = table.splitlines()
    assert lines[0].split()[:4] == ["COMPONENT", "STATE", "PID", "PORT"]
    assert [line.split()[1] for line in lines[1:7]] == ["stopped"] * 6


def test_environment_can_be_evaluated_by_a_shell(environ: Mapping[str, str], installed: Settings) -> None:
    result = run(environ, "env")
    script = result.stdout + '\nprintf %s "$SHOPSTREAM_HOME|$SHOPSTREAM_STACK|$MONGODB_URI"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
    uri = run(environ, "mongodb-uri").stdout.strip()
    assert shown == f"{installed.home}||{uri}"


def test_reset_needs_a_yes(installed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm(installed, yes=True)
    with pytest.raises(StackError, match="--yes"):
        confirm(installed, yes=False)
    # Ctrl-D is no yes either.
    for typed in ("no\n", ""):
        monkeypatch.setattr("sys.stdin", StringIO(typed))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        with pytest.raises(StackError, match="nothing was deleted"):
            confirm(installed, yes=False)


def test_reset_keeps_what_is_installed(installed: Settings) -> None:
    (installed.state / "data").write_text("x")
    reset(installed, Progress())
    assert not installed.state.exists()
    assert installed.jars.is_dir()
    assert installed.venvs.is_dir()


def test_running_stack_outranks_the_shell(installed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    open_stack(installed).record()
    environ = {"SHOPSTREAM_HOME": str(installed.home), "SHOPSTREAM_AIRFLOW_PORT": "1234"}
    assert current_settings(environ).airflow_port == 1234
    monkeypatch.setattr(Supervisor, "is_alive", lambda _: True)
    assert current_settings(environ).airflow_port == 18080
    assert changed_settings(open_stack(read_settings(environ))) == ["SHOPSTREAM_AIRFLOW_PORT"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m01s"), (7500, "2h05m"), (273600, "3d04h")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_last_words_leave_out_stack_frames() -> None:
    assert last_words("a\nb\n\nERROR x\n\tat kafka.Kafka.main\n\tat y\n") == "a | b | ERROR x"
    assert last_words("") == "it said nothing"


def test_tail(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"1\n2\n\xff\n")
    assert tail(tmp_path / "log", 2) == ["2\n", "\ufffd\n"]
