"""Starts one supervised program: ends what a killed predecessor left behind, then becomes the program.

A SIGKILLed scheduler, for one, leaves idle workers that nobody would ever end, and tasks that Airflow runs again.
The streaming driver is no leftover: it is meant to outlive the task that launched it.

Usage: python -m embedded.launch PROGRAM COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import os
import sys

import psutil

from embedded import processes
from embedded.environment import MARKER

GRACE_SECONDS = 5.0


def leftovers(program: str, marker: str) -> list[psutil.Process]:
    """Processes of earlier incarnations of `program`, without streaming drivers and their descendants."""
    mine = [process for process in processes.marked(marker) if processes.program_of(process) == program]
    kept = {process.pid for process in processes.drivers(mine)}
    kept |= {child.pid for driver in processes.drivers(mine) for child in processes.children(driver)}
    return [process for process in mine if process.pid not in kept]


def main() -> None:
    """Replace this process by the command given."""
    program, command = sys.argv[1], sys.argv[2:]
    processes.end(leftovers(program, os.environ[MARKER]), GRACE_SECONDS)
    os.execvp(command[0], command)  # noqa: S606 (the command is ours)


if __name__ == "__main__":
    main()
