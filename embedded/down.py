"""`down`: ends every process of the stack, gracefully and in order, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from embedded import processes
from embedded.config import Settings
from embedded.programs import KAFKA, MONGODB
from embedded.progress import Progress
from embedded.supervision import ProgramState, Supervisor, remove_socket

DRIVER_SECONDS = 20.0  # the streaming driver finishes its micro-batch
STOP_SECONDS = 45.0  # more than any program's stop_seconds: supervisord kills it before
GRACE_SECONDS = 10.0
SERVERS = (KAFKA, MONGODB)
STOPPED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


def down(settings: Settings, progress: Progress) -> bool:
    """Stop the streaming driver and Airflow, then the servers, then whatever is left. False when nothing ran."""
    supervisor = Supervisor(settings)
    supervised = supervisor.is_alive()
    members = processes.marked(settings.marker)
    if not supervised and not members:
        # After a crash it may name a process of somebody else's by now.
        settings.supervisor_pid.unlink(missing_ok=True)
        return False
    drivers = processes.drivers(members)
    if drivers:
        progress.say(f"stopping the streaming driver (process {', '.join(str(driver.pid) for driver in drivers)})")
        processes.terminate(drivers)
    if supervised:
        _stop_supervised(settings, supervisor, drivers, progress)
    else:
        processes.wait_gone(drivers, DRIVER_SECONDS)
    end_leftovers(settings, progress)
    remove_socket(settings)
    progress.say("down")
    return True


def _stop_supervised(
    settings: Settings, supervisor: Supervisor, drivers: Sequence[psutil.Process], progress: Progress
) -> None:
    names = list(supervisor.states())
    airflow = [name for name in names if name not in SERVERS]
    progress.say("stopping Airflow")
    supervisor.stop(airflow)
    # Both need the servers to finish what they are doing.
    processes.wait_gone(drivers, DRIVER_SECONDS)
    _wait_stopped(supervisor, airflow)
    # A task may have launched a driver at the last moment.
    late = processes.drivers(processes.marked(settings.marker))
    processes.terminate(late)
    processes.wait_gone(late, DRIVER_SECONDS)
    progress.say("stopping servers")
    supervisor.stop(name for name in names if name in SERVERS)
    _wait_stopped(supervisor, names)
    pid = supervisor.shutdown()
    with suppress(psutil.NoSuchProcess):
        processes.wait_gone([psutil.Process(pid)], GRACE_SECONDS)


def end_leftovers(settings: Settings, progress: Progress) -> None:
    """End every process that carries the stack's marker: supervisord first (it restarts things), servers last."""
    members = processes.marked(settings.marker)
    if not members:
        return
    progress.say(f"ending {len(members)} remaining processes")
    supervisors = [process for process in members if "supervisor.supervisord" in processes.command_of(process)]
    processes.end(supervisors, 0)
    drivers = processes.drivers(members)
    processes.terminate(drivers)
    processes.wait_gone(drivers, DRIVER_SECONDS)
    members = processes.marked(settings.marker)
    servers = [process for process in members if processes.program_of(process) in SERVERS]
    processes.end([process for process in members if process not in servers], GRACE_SECONDS)
    processes.end(servers, GRACE_SECONDS)
    # Once more for what was born meanwhile.
    processes.end(processes.marked(settings.marker), 0)


def _wait_stopped(supervisor: Supervisor, names: Sequence[str]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        states = supervisor.states()
        if all(states.get(name, ProgramState("STOPPED", 0, 0)).state in STOPPED for name in names):
            return
        time.sleep(0.2)
