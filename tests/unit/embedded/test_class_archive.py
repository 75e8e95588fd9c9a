"""The archive of Java classes: whose it is, and what becomes of jobs without one."""

import os
import sys
from pathlib import Path

import pytest

from embedded import class_archive
from embedded.config import Settings

# Stands for the Python of jobs: it leaves what the test says where Java is told to write the archive.
PROGRAM = """#!{python}
import os, pathlib, re
print("at work")
option = re.search('"-XX:ArchiveClassesAtExit=(.*)"', os.environ["SPARK_SUBMIT_OPTS"])
{action}
"""
WRITES = "pathlib.Path(option[1]).write_text('classes')"


@pytest.fixture
def java_home(tmp_path: Path) -> Path:
    """A Java that says its version."""
    home = tmp_path / "java"
    home.mkdir()
    (home / "release").write_text('JAVA_VERSION="17.0.1"')
    return home


def program(settings: Settings, action: str) -> None:
    python = settings.venvs / "spark/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(PROGRAM.format(python=sys.executable, action=action))
    python.chmod(0o755)
    settings.jars.mkdir(exist_ok=True)


def test_an_archive_is_made_once_for_one_java_and_one_set_of_jars(settings: Settings, java_home: Path) -> None:
    program(settings, WRITES)
    assert not class_archive.is_ready(settings, java_home)
    assert class_archive.make(settings, java_home, settings.home / "log")
    assert (settings.jars / class_archive.NAME).read_text() == "classes"
    assert class_archive.is_ready(settings, java_home)
    (java_home / "release").write_text('JAVA_VERSION="21"')
    assert not class_archive.is_ready(settings, java_home)


@pytest.mark.parametrize("action", ["", f"{WRITES}; raise SystemExit(1)"], ids=["java cannot", "spark fails"])
def test_what_cannot_be_made_is_not_tried_again_and_leaves_nothing_old(
    settings: Settings, java_home: Path, action: str
) -> None:
    program(settings, action)
    (settings.jars / class_archive.NAME).write_text("of another Java")
    log = settings.home / "log"
    assert not class_archive.make(settings, java_home, log)
    assert not (settings.jars / class_archive.NAME).exists()
    assert class_archive.is_ready(settings, java_home)
    assert "at work" in log.read_text()


def test_secrets_of_the_shell_are_not_handed_on(
    settings: Settings, java_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MONGODB_URI", "mongodb://somebody:word@production/")
    program(settings, "print(os.environ['MONGODB_URI'])")
    log = settings.home / "log"
    class_archive.make(settings, java_home, log)
    assert "production" not in log.read_text()


def test_a_java_of_our_own_first_gets_the_archive_of_its_own_classes(settings: Settings) -> None:
    java_home = settings.venvs / "java-home"
    (java_home / "bin").mkdir(parents=True)
    java = java_home / "bin/java"
    java.write_text('#!/bin/sh\necho "$@" >"$0.called"\n')
    java.chmod(0o755)
    program(settings, WRITES)
    assert class_archive.make(settings, java_home, settings.home / "log")
    assert java.with_suffix(".called").read_text() == "-Xshare:dump\n"
