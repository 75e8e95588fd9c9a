"""Child processes of a measurement: started with a log of their own, always ended, and what they use."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.config import REPOSITORY
from embedded.errors import StackError


@dataclass(frozen=True)
class Usage:
    """What a process and its descendants use: resident megabytes by program name, and CPU seconds so far."""

    resident_mb: dict[str, float]
    cpu_seconds: dict[str, float]


class Child:
    """A running process in a session of its own; its output goes to a file.

    Args:
        command: Command line.
        environ: Complete environment.
        log: File of its output.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environ),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def require_alive(self) -> None:
        """Raise StackError with its last words if it has ended."""
        status = self._process.poll()
        if status is not None:
            raise StackError(f"{self.log.stem} has ended with status {status}: {self.last_words()} (log: {self.log})")

    def last_words(self) -> str:
        """The last line of its output that is no stack frame of Java."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next(
            (line.strip()[:300] for line in reversed(lines) if line.strip()[:3] not in ("", "at ")), "no output"
        )

    def wait(self) -> None:
        """Wait for its end; raise StackError with its last words unless it ends well."""
        if self._process.wait() != 0:
            self.require_alive()

    def end(self, seconds: float = 60.0) -> None:
        """Ask it to end, and after `seconds` end it and its session by force."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()


def usage(pid: int) -> Usage:
    """Return what the process `pid` and its descendants use, by program name ("java", "python")."""
    resident: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for _, _, kilobytes, seconds, program in _family(pid):
        name = "python" if "python" in program else Path(program).name
        resident[name] = resident.get(name, 0.0) + int(kilobytes) * 1024 / 1e6
        cpu[name] = cpu.get(name, 0.0) + cpu_seconds(seconds)
    return Usage(resident, cpu)


def cpu_by_process(pid: int) -> dict[int, float]:
    """Return the CPU seconds that the process `pid` and each of its descendants have used, by process id."""
    return {int(number): cpu_seconds(seconds) for number, _, _, seconds, _ in _family(pid)}


def _family(pid: int) -> list[list[str]]:
    """Return process id, parent's id, resident KB, CPU time and program of `pid` and its descendants."""
    columns = ["ps", "-A", "-o", "pid=,ppid=,rss=,time=,comm="]
    table = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 4) for line in table.splitlines()]
    family = {str(pid)}
    while more := {row[0] for row in rows if row[1] in family} - family:
        family |= more
    return [row for row in rows if row[0] in family]


def cpu_seconds(text: str) -> float:
    """Return the seconds of a CPU time as `ps` prints it: [[days-]hours:]minutes:seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part)
    return 86_400 * int(days or 0) + seconds
