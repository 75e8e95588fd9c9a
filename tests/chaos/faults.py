"""What can be killed, and how its process is found."""

from __future__ import annotations

import os
import random
import signal

import psutil

from embedded import processes
from tests.stack import RunningStack

TARGETS = ("driver", "kafka", "mongodb", "scheduler", "producer")

_PROGRAMS = {"kafka": "kafka", "mongodb": "mongodb", "scheduler": "airflow-scheduler"}
_MODULES = {"driver": processes.DRIVER_MODULE, "producer": "spark_jobs.jobs.replay_events"}


def choose(dice: random.Random) -> tuple[str, ...]:
    """Choose one target, or a pair."""
    return tuple(dice.sample(TARGETS, dice.choice((1, 1, 2))))


def kill(stack: RunningStack, target: str) -> bool:
    """Kill a target with SIGKILL; False if there is no such process at this moment."""
    pid = _pid(stack, target)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """Tell whether a process lives."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _pid(stack: RunningStack, target: str) -> int | None:
    if program := _PROGRAMS.get(target):
        rows = (line.split() for line in stack.launcher("status").stdout.splitlines())
        return next((int(row[2]) for row in rows if row and row[0] == program and row[2].isdecimal()), None)
    home = stack.environ["SHOPSTREAM_HOME"]
    for process in psutil.process_iter():
        try:
            if _MODULES[target] in process.cmdline() and process.environ().get("SHOPSTREAM_HOME") == home:
                return int(process.pid)
        except (psutil.Error, OSError):
            continue
    return None
