"""Finding and ending the processes of one stack, and no others.

Every process the stack starts has SHOPSTREAM_STACK=<hash of its home> in its environment, and its descendants inherit
it: Airflow's tasks, Spark's drivers, even those that live in a session of their own or lost their parent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from embedded.environment import MARKER

DRIVER_MODULE = "spark_jobs.jobs.stream"
KILL_SECONDS = 5.0


def marked(marker: str) -> list[psutil.Process]:
    """All live processes of the stack `marker` and their descendants, without this process and its own ancestors.

    The ancestors are left out because a command may run inside the stack (a shell opened from a task): it must not
    end the user's terminal.
    """
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if environment_of(process).get(MARKER) == marker:
            found[process.pid] = process
    for process in list(found.values()):
        if process.pid not in spared:
            found |= {child.pid: child for child in children(process)}
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Its environment variables at start; empty where the system does not show them (other users' processes)."""
    try:
        variables: dict[str, str] = process.environ()
        return variables
    except (psutil.Error, OSError):
        return {}


def children(process: psutil.Process) -> list[psutil.Process]:
    """All live descendants."""
    try:
        found: list[psutil.Process] = process.children(recursive=True)
        return found
    except psutil.Error:
        return []


def program_of(process: psutil.Process) -> str:
    """Name of the supervised program it descends from ("" if none)."""
    return environment_of(process).get("SUPERVISOR_PROCESS_NAME", "")


def is_driver(command: Sequence[str]) -> bool:
    """Whether `command` is the streaming application's driver: `python -m spark_jobs.jobs.stream ...`.

    Only an argument of its own counts; a shell or editor that mentions the module in a longer text does not.
    """
    return DRIVER_MODULE in command[1:]


def drivers(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The streaming drivers among `processes`."""
    return [process for process in processes if is_driver(command_of(process))]


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; empty when it is gone."""
    try:
        command: list[str] = process.cmdline()
        return command
    except psutil.Error:
        return []


def terminate(processes: Iterable[psutil.Process]) -> None:
    """Ask each to end (SIGTERM). psutil checks the start time, so a reused pid is never hit."""
    for process in processes:
        with suppress(psutil.Error):  # gone already
            process.terminate()


def end(processes: Sequence[psutil.Process], grace: float) -> None:
    """SIGTERM, up to `grace` seconds, then SIGKILL to what is left; returns when all are gone (at most 5 s later)."""
    terminate(processes)
    alive = wait_gone(processes, grace)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    wait_gone(alive, KILL_SECONDS)


def wait_gone(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, up to `seconds`; returns those that have not.

    A zombie has ended: in a container whose first process is no init, nobody ever collects it.
    """
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def uptime(process: psutil.Process) -> float:
    """Seconds since it started."""
    return max(0.0, time.time() - float(process.create_time()))


def memory_mb(process: psutil.Process) -> tuple[float, float | None]:
    """(RSS, PSS) in MB of a process and its descendants.

    RSS counts memory that forked processes share once for each; PSS (Linux only) shares it out.
    """
    rss, pss = 0.0, 0.0
    known = True
    for member in [process, *children(process)]:
        try:
            full = member.memory_full_info()
        except psutil.Error:
            continue
        rss += full.rss
        known = known and hasattr(full, "pss")
        pss += getattr(full, "pss", 0)
    return rss / 1e6, pss / 1e6 if known else None
