"""`logs`: the last lines of the components' logs, or all that follows."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from embedded.config import Settings
from embedded.errors import StackError
from embedded.programs import AIRFLOW, KAFKA, MONGODB
from embedded.supervision import log_file

# The stream is started by its DAG, not by the supervisor; its log lies beside the others.
COMPONENTS = (KAFKA, MONGODB, *AIRFLOW, "stream", "supervisord")
LINES = {True: 200, False: 20}  # of one component, of each of all


def show(settings: Settings, component: str | None, follow: bool) -> None:
    """Print the last lines of one component's log, or of each; with `follow`, go on until interrupted.

    Raises:
        StackError: there is no log yet.
    """
    names = [component] if component else list(COMPONENTS)
    files = [path for path in (log_file(settings, name) for name in names) if path.is_file()]
    if not files:
        raise StackError(
            f"{settings.logs} holds no log of {component or 'any component'} yet (make up starts the stack)"
        )
    if follow:
        os.execvp("tail", ["tail", "-n", str(LINES[bool(component)]), "-F", *map(str, files)])  # noqa: S606
    for path in files:
        print(f"==> {path} <==")
        print("".join(tail(path, LINES[bool(component)])))


def tail(path: Path, count: int) -> list[str]:
    """The last `count` lines."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return list(deque(lines, count))
