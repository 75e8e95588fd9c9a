"""The files that describe images and services, read for the tests of this folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).resolve().parents[3]

# ${NAME}, ${NAME:-default}, ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


@cache
def compose() -> dict[str, Any]:
    """docker-compose.yaml, anchors resolved, variables not."""
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
    return content


def services() -> dict[str, dict[str, Any]]:
    """Its services by name."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def environment() -> list[tuple[str, str, str]]:
    """`(service, variable, value)` of every environment variable of every service."""
    return [
        (service, name, str(value))
        for service, content in services().items()
        for name, value in content.get("environment", {}).items()
    ]


def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by stage, each on one line, without comments."""
    text = (REPOSITORY / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, list[str]] = {}
    stage = ""
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if match := re.match(r"FROM\s+\S+\s+AS\s+(\S+)", line):
            stage = match.group(1)
        if line.strip():
            found.setdefault(stage, []).append(" ".join(line.split()))
    return found


def copy_of(folder: Path, *names: str) -> Path:
    """Copies of some files of the repository in `folder`, at the same places."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, target)
    return folder


def make_secrets(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run docker/secrets in a copy of the repository."""
    copy_of(folder, "docker/secrets")
    return subprocess.run([str(folder / "docker/secrets"), *arguments], capture_output=True, text=True, check=False)


def dotenv(path: Path) -> dict[str, str]:
    """The variables of a .env file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines())
