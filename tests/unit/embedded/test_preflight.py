"""Messages about ports, disk and memory."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from embedded import machine, preflight
from embedded.config import REPOSITORY, Settings
from embedded.errors import StackError
from embedded.programs import Program


def program(port: int) -> Program:
    """A program that listens on `port`."""
    return Program("kafka", ("x",), {port: "SHOPSTREAM_KAFKA_PORT"}, 5)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_taken_port_names_port_holder_and_variable(address: str) -> None:
    with socket.socket() as holder:
        holder.bind((address, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(StackError) as caught:
            preflight.check_ports([program(port)])
    assert f"port {port} for kafka" in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert "SHOPSTREAM_KAFKA_PORT" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHOPSTREAM_STREAM_LAG_EVENTS", "many"),
        ("SHOPSTREAM_LIFECYCLE_CRON", "often"),
        ("SHOPSTREAM_ALERT_WEBHOOK", "chat"),
        ("SHOPSTREAM_TRIGGER_SECONDS", "0"),
        ("SHOPSTREAM_SPARK_DRIVER_MEMORY", "much"),
    ],
)
def test_values_that_tasks_or_jobs_would_refuse_are_refused_before_the_start(
    settings: Settings, name: str, value: str
) -> None:
    # Neither check needs more than what both environments have.
    python = settings.venvs / "airflow/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    good = {"MONGODB_URI": "mongodb://127.0.0.1:1/x", "PYTHONPATH": str(REPOSITORY)}
    preflight.check_configuration(replace(settings, spark_python=python), good)
    with pytest.raises(StackError, match=f"{name}.*correct or unset it"):
        preflight.check_configuration(replace(settings, spark_python=python), good | {name: value})


def test_free_port_passes_and_stays_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    preflight.check_ports([program(port)])
    assert preflight.taken(port) == ""


def test_spark_side_must_be_there(settings: Settings) -> None:
    with pytest.raises(StackError, match="SHOPSTREAM_SPARK_PYTHON"):
        preflight.check_spark(settings)
    settings.spark_python.parent.mkdir(parents=True)
    settings.spark_python.symlink_to(sys.executable)
    settings.spark_jars.mkdir(parents=True)
    with pytest.raises(StackError, match="SHOPSTREAM_SPARK_JARS"):
        preflight.check_spark(settings)
    (settings.spark_jars / "x.jar").write_text("")
    preflight.check_spark(settings)


def test_too_little_disk(tmp_path: Path) -> None:
    machine.check_disk(tmp_path / "not" / "yet", 1)
    with pytest.raises(StackError, match="SHOPSTREAM_MIN_DISK_MB"):
        machine.check_disk(tmp_path / "not" / "yet", 10**9)


def test_too_little_memory() -> None:
    machine.check_memory(1)
    with pytest.raises(StackError, match="SHOPSTREAM_MIN_MEMORY_MB"):
        machine.check_memory(10**9)


def test_a_container_limit_caps_the_memory(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  32000000 kB\nMemAvailable:   16000000 kB\n")
    assert machine.available_memory_mb(meminfo, tmp_path) == 16384
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("1500000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500000000\n")
    assert machine.available_memory_mb(meminfo, tmp_path) == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory_mb(meminfo, tmp_path) == 16384
