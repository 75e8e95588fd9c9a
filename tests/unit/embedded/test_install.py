"""The installer's decisions: what is up to date, and who may not use it."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedded import environments
from embedded.config import REPOSITORY, Settings
from embedded.environments import Environment, environment, stamp
from embedded.errors import StackError
from embedded.install import check_not_running


@pytest.fixture
def target(tmp_path: Path) -> Environment:
    """An environment that looks complete."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("a==1\n")
    made = Environment("x", lock, tmp_path / "venv")
    (made.path / "bin").mkdir(parents=True)
    made.python.write_text("")
    (made.path / environments.STAMP).write_text(stamp(lock))
    return made


def test_complete_environment_is_left_alone(target: Environment) -> None:
    assert target.is_ready()


def test_changed_lock_missing_stamp_or_interpreter_means_again(target: Environment) -> None:
    target.lock.write_text("a==2\n")
    assert not target.is_ready()
    target.lock.write_text("a==1\n")
    (target.path / environments.STAMP).unlink()
    assert not target.is_ready()
    (target.path / environments.STAMP).write_text(stamp(target.lock))
    target.python.unlink()
    assert not target.is_ready()


def test_every_environment_has_its_lock() -> None:
    for name in ("airflow", "spark", "stack", "java", "bootstrap"):
        assert environment(Path("/x"), name).lock.is_file()


def test_failed_command_reports_the_telling_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "print('ERROR: no such package'); print('hint: look elsewhere'); raise SystemExit(1)"
    with pytest.raises(StackError, match=f"it broke: ERROR: no such package .*{log}"):
        environments.run([sys.executable, "-c", code], log, "it broke")


def test_running_stack_protects_its_installation(settings: Settings) -> None:
    settings.run.mkdir(parents=True)
    check_not_running(settings)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (settings.run / "supervisord.pid").write_text(f"{child.pid}\n")
        with pytest.raises(StackError, match="make down"):
            check_not_running(settings)
    finally:
        child.kill()
        child.wait()
    check_not_running(settings)


def test_entry_point_can_be_read_by_old_pythons() -> None:
    source = (REPOSITORY / "embedded/bootstrap.py").read_text()
    assert "import annotations" not in source
    compile(source, "bootstrap.py", "exec", dont_inherit=True)
