"""The streaming driver as a process of this machine that outlives the task which launched it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from shopstream.config import Config
from shopstream.joblog import redact
from shopstream.runtimes.base import Driver, JobRuntimeError
from shopstream.runtimes.environment import job_environment, spark_command
from shopstream.streaming.health import Heartbeat

log = logging.getLogger(__name__)

JOB = "stream"
REPORT_SECONDS = 10.0

# A JVM whose driver has ended deletes its temporary files first.
CHILDREN_SECONDS = 10.0

# The log of a driver that has run for months is kept once, next to the new one's.
ROTATE_BYTES = 20_000_000
TAIL_BYTES = 64_000

# Creation times come from the kernel's boot time, which moves by up to a second when the clock is set.
SAME_START_SECONDS = 2.0


class LocalStreamRuntime:
    """Launches, finds and ends the driver.

    The record `driver.json` in the data folder holds the driver's process id and creation time: the two together name a
    process for ever, while an id alone is used again.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._record = config.data_dir / "stream" / "driver.json"
        self._log = config.home / "logs" / "stream.log"
        self._launched: subprocess.Popen[bytes] | None = None

    def find(self, heartbeat: Heartbeat | None) -> Driver | None:
        """Return the living driver: the recorded one, else the one that the heartbeat speaks of."""
        process = self._recorded() or self._by_heartbeat(heartbeat)
        if process is None:
            return None
        return _driver(process.pid, process.create_time())

    def launch(self, config_hash: str) -> Driver:
        """Start a driver in a session of its own, so that it outlives the task; record it.

        A JVM that has outlived a killed driver is ended first: it could still be writing an older micro-batch.
        """
        self._end_leftovers()
        command = spark_command(self._config, JOB)
        environment = {**job_environment(self._config), "SHOPSTREAM_CONFIG_HASH": config_hash}
        try:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            _rotate(self._log)
            with self._log.open("ab") as output:
                output.write(f"--- launched {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())
                output.flush()
                # Nothing of the task is inherited: no terminal, no pipe to its log, no socket to its supervisor.
                process = self._launched = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._record.parent,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise JobRuntimeError(
                f"cannot start the driver: {error} (check SHOPSTREAM_HOME, SHOPSTREAM_DATA_DIR)"
            ) from None
        log.info("Command: %s (output: %s)", " ".join(command), self._log)
        started = _creation_time(process.pid)
        _write(self._record, {"pid": process.pid, "created": started, "config_hash": config_hash})
        return _driver(process.pid, started)

    def wait(self, driver: Driver, seconds: float) -> bool:
        """Wait for the driver's end."""
        if self._launched and self._launched.pid == driver.pid:
            try:
                self._launched.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        process = _process(driver.pid, driver.started_at.timestamp())
        if process is None:
            return True
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            # A zombie that nobody collects has ended, too.
            return not _lives(process)
        return True

    def stop(self, driver: Driver, seconds: float) -> str:
        """Ask the driver to finish (SIGTERM), then end it and its JVM by force."""
        process = _process(driver.pid, driver.started_at.timestamp())
        if process is None:
            return f"The driver ({driver.name}) had ended already"
        family = [process, *process.children(recursive=True)]
        # To the driver alone: its JVM would drop the micro-batch.
        process.send_signal(signal.SIGTERM)
        waited = 0.0
        while waited < seconds:
            if self.wait(driver, min(REPORT_SECONDS, seconds - waited)):
                _end(family[1:], CHILDREN_SECONDS)
                return f"The driver ({driver.name}) finished its work and ended"
            waited += REPORT_SECONDS
            log.info("Still finishing, %.0f s of at most %.0f s", min(waited, seconds), seconds)
        _end(family, 0)
        if not self.wait(driver, REPORT_SECONDS):
            raise JobRuntimeError(
                f"the driver ({driver.name}) survives SIGKILL: its machine has a problem (disk, kernel)"
            )
        return f"The driver ({driver.name}) did not finish within {seconds:.0f} s and was killed"

    def last_words(self, lines: int = 20) -> list[str]:
        """Return the last lines that the newest driver printed."""
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(0, self._log.stat().st_size - TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError as error:
            return [f"({self._log}: {error.strerror})"]
        return [redact(line) for line in text.rpartition("--- launched ")[2].splitlines()[1:][-lines:]] or ["(nothing)"]

    def _end_leftovers(self) -> None:
        """End what is left of the last driver's session, whose id is the driver's process id.

        The id may have become another session's since, after a restart of the machine above all: the driver's own
        children have started after it, and know its data folder.
        """
        try:
            record = json.loads(self._record.read_text())
            session, created = int(record["pid"]), float(record["created"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return
        left = [
            process
            for process in psutil.process_iter()
            if _session(process) == session and self._is_child(process, created)
        ]
        if left:
            log.info("Ending what is left of the last driver: %s", ", ".join(str(process.pid) for process in left))
            _end(left, 0)
            psutil.wait_procs(left, timeout=CHILDREN_SECONDS)

    def _is_child(self, process: psutil.Process, created: float) -> bool:
        try:
            own = process.environ().get("SHOPSTREAM_DATA_DIR") == str(self._config.data_dir)
            return bool(own and process.create_time() >= created - SAME_START_SECONDS)
        except psutil.Error:
            return False

    def _recorded(self) -> psutil.Process | None:
        try:
            record = json.loads(self._record.read_text())
            return _process(int(record["pid"]), float(record["created"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            log.warning("%s is not readable; looking for the driver by its heartbeat", self._record)
            return None

    def _by_heartbeat(self, heartbeat: Heartbeat | None) -> psutil.Process | None:
        """Find a driver whose launch was cut off before it was recorded, or that a person started."""
        if heartbeat is None or heartbeat.host != socket.gethostname():
            return None
        try:
            process = psutil.Process(heartbeat.pid)
            born_before = process.create_time() <= heartbeat.started_at.timestamp() + SAME_START_SECONDS
            if born_before and f"spark_jobs.jobs.{JOB}" in process.cmdline() and _lives(process):
                log.info("Process %d has no record but a heartbeat: it is the driver", process.pid)
                return process
        except psutil.Error:
            pass
        return None


def _driver(pid: int, created: float) -> Driver:
    return Driver(f"process {pid}", datetime.fromtimestamp(created, UTC), pid=pid)


def _process(pid: int | None, created: float) -> psutil.Process | None:
    """Return the living process with this id and creation time (seconds since 1970), or None."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < SAME_START_SECONDS
        return process if same and _lives(process) else None
    except psutil.Error:
        return None


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _creation_time(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        # It has ended within this moment: the record then names a process that is gone, which is true.
        return datetime.now(UTC).timestamp()


def _end(processes: list[psutil.Process], patience: float) -> None:
    """Give processes `patience` seconds to end by themselves, then kill what is left."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _rotate(path: Path) -> None:
    if path.exists() and path.stat().st_size > ROTATE_BYTES:
        path.replace(path.with_name(path.name + ".1"))


def _write(path: Path, record: dict[str, object]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record) + "\n")
    partial.replace(path)
