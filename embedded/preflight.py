"""Checks before anything is started."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping

import psutil

from embedded import airflow, machine
from embedded.config import REPOSITORY, Settings
from embedded.errors import StackError
from embedded.programs import Program


def check_machine(settings: Settings) -> None:
    """Raise StackError when disk or memory do not suffice."""
    machine.check_disk(settings.home, settings.minimum_disk_mb)
    machine.check_memory(settings.minimum_memory_mb)


def check_spark(settings: Settings) -> None:
    """Raise StackError when SHOPSTREAM_SPARK_PYTHON or SHOPSTREAM_SPARK_JARS name something that is not there."""
    if not os.access(settings.spark_python, os.X_OK):
        raise StackError(
            f"SHOPSTREAM_SPARK_PYTHON: {settings.spark_python} is not an interpreter (correct or unset it)"
        )
    if not any(settings.spark_jars.glob("*.jar")):
        raise StackError(f"SHOPSTREAM_SPARK_JARS: {settings.spark_jars} is no folder with jars (correct or unset it)")


def check_configuration(settings: Settings, variables: Mapping[str, str]) -> None:
    """Raise StackError when Airflow's tasks or the jobs would refuse a value of their environment."""
    plugins = {**variables, "PYTHONPATH": str(REPOSITORY / "plugins")}
    sides = (
        ([str(airflow.python(settings)), "-m", "shopstream.config"], plugins),
        ([str(settings.spark_python), "-m", "spark_jobs.config"], dict(variables)),
    )
    for command, environ in sides:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"{command[-1]} ended with status {done.returncode}"]
            raise StackError(f"{lines[-1].removeprefix('error: ')} (correct or unset it)")


def check_ports(programs: Iterable[Program]) -> None:
    """Raise StackError when a port of one of `programs` is taken: which, by whom, and how to choose another."""
    for program in programs:
        for port, variable in program.ports.items():
            if reason := taken(port):
                raise StackError(
                    f"port {port} for {program.name} {reason} (stop that program, or set {variable} to a free port)"
                )


def taken(port: int) -> str:
    """Why `port` cannot be listened on at 127.0.0.1; "" when it can."""
    with socket.socket() as probe:
        # As servers do, or connections of a predecessor that linger for a minute would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            return ""
        except OSError as error:
            if error.errno == errno.EACCES:
                return "needs administrator rights"
            return f"is taken by {holder(port)}"


def holder(port: int) -> str:
    """Name and pid of the process that listens on `port`, as far as the system tells."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        connections = []
    pids = {item.pid for item in connections if item.status == psutil.CONN_LISTEN and item.laddr.port == port}
    for pid in sorted(filter(None, pids)):
        try:
            return f"{psutil.Process(pid).name()} (process {pid})"
        except psutil.Error:
            continue
    return "a program of another user"
