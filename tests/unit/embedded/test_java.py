"""Choosing a Java runtime and wrapping an incomplete one."""

import subprocess
from pathlib import Path

import pytest

from embedded import java


@pytest.mark.parametrize(
    ("text", "major"),
    [("17.0.15", 17), ("1.8.0_312", 8), ("25", 25), ("21-ea", 21), ("11.0.2+9", 11), ("", 0), ("unknown", 0)],
)
def test_version(text: str, major: int) -> None:
    assert java.parse_version(text) == major


def fake(home: Path, version: str, complete: bool = True) -> Path:
    """A java that reports `version`; an incomplete one refuses the vector module. Returns its home."""
    (home / "bin").mkdir(parents=True)
    script = home / "bin/java"
    refuse = "" if complete else 'case "$*" in *incubator.vector*) exit 1;; esac\n'
    script.write_text(
        f"#!/bin/sh\n{refuse}echo '    java.home = {home}' >&2\necho '    java.version = {version}' >&2\necho \"$@\"\n"
    )
    script.chmod(0o755)
    return home


def test_java_home_comes_before_path_and_old_ones_are_passed_over(tmp_path: Path) -> None:
    new, old, other = (
        fake(tmp_path / "new", "21.0.1"),
        fake(tmp_path / "old", "1.8.0"),
        fake(tmp_path / "other", "17.0.1"),
    )
    none = tmp_path / "none"
    path = str(other / "bin")
    assert java.find({"JAVA_HOME": str(new), "PATH": path}, none) == java.Runtime(new, 21, True)
    assert java.find({"JAVA_HOME": str(old), "PATH": path}, none) == java.Runtime(other, 17, True)
    assert java.find({"JAVA_HOME": str(tmp_path / "gone"), "PATH": path}, none) == java.Runtime(other, 17, True)
    assert java.find({"PATH": str(old / "bin")}, none) is None
    assert java.find({"PATH": str(none)}, none) is None
    assert java.find({"JAVA_HOME": str(new), "PATH": ""}, new) is None


def test_wrapper_drops_exactly_the_unknown_option(tmp_path: Path) -> None:
    runtime = java.probe(fake(tmp_path / "a jre", "25.0.2", complete=False) / "bin/java")
    assert runtime == java.Runtime(tmp_path / "a jre", 25, False)
    (tmp_path / "a jre/lib").mkdir()
    home = java.make_usable(runtime, tmp_path / "wrapper")
    command = [str(home / "bin/java"), "-Xmx1g", java.VECTOR, "--add-modules=java.sql", "two words", ""]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "-Xmx1g --add-modules=java.sql two words \n"
    assert (home / "lib").resolve() == tmp_path / "a jre/lib"


def test_complete_runtime_needs_no_wrapper(tmp_path: Path) -> None:
    home = fake(tmp_path / "jdk", "17.0.1")
    assert java.make_usable(java.Runtime(home, 17, True), tmp_path / "wrapper") == home
    assert not (tmp_path / "wrapper").exists()


def test_choice_is_remembered_until_the_shell_changes(tmp_path: Path) -> None:
    home, record = fake(tmp_path / "jdk", "17.0.1"), tmp_path / "java.json"
    environ = {"JAVA_HOME": str(home), "PATH": "/nowhere"}
    assert java.remembered(record) is None
    java.remember(record, environ, home)
    assert java.remembered(record, environ) == java.remembered(record) == home
    assert java.remembered(record, {"PATH": "/nowhere"}) is None
    assert java.remembered(record, {"JAVA_HOME": str(home), "PATH": "/elsewhere"}) == home
    (home / "bin/java").unlink()
    assert java.remembered(record) is None
