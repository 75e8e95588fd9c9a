"""What operators expect of a runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from shopstream.streaming.health import Heartbeat

# A message for the task log: logging level, text.
LogLine = tuple[int, str]

# A pod's start is told by the API server's clock, a heartbeat's by the node's.
CLOCKS_DIFFER = timedelta(seconds=3)


class JobRuntimeError(Exception):
    """The runtime could not do what it was asked to; the message says what to do. A retry may help."""


@dataclass(frozen=True)
class JobOutcome:
    """How a batch job ended.

    Attributes:
        status: Exit status; the negative signal number where a signal ended the job.
        result: The metrics the job wrote, or None where it wrote none.
        error: Its last `error:` line, else the exception that ended it.
        skipped: Its last `skipped:` line.
        tail: The last lines of its output, without credentials.
        fault: What ended it from outside, in words: its memory limit, a drained node.
    """

    status: int
    result: dict[str, Any] | None = None
    error: str | None = None
    skipped: str | None = None
    tail: Sequence[str] = ()
    fault: str | None = None


class BatchRuntime(Protocol):
    """Runs one batch job."""

    def run(self, job: str, arguments: Sequence[str]) -> JobOutcome:
        """Run `spark_jobs.jobs.<job>` to its end, its output going to the task log as it comes.

        Raises:
            JobRuntimeError: The job could not be started.
        """

    def end(self) -> None:
        """End the job that `run` waits for. Called from a signal handler: asks only, `run` does the waiting."""


@dataclass(frozen=True)
class Driver:
    """A living driver of the streaming application, or one that is on its way.

    Attributes:
        name: What people know it by: `process 4711`, `pod shopstream/shopstream-stream-driver`.
        started_at: When it was started.
        pid: Process id, as its heartbeat states it; None in a pod, where one driver's is like another's.
        host: Name of its machine or pod, as its heartbeat states it; None where the process id says enough.
    """

    name: str
    started_at: datetime
    pid: int | None = None
    host: str | None = None

    def wrote(self, heartbeat: Heartbeat) -> bool:
        """Whether a heartbeat is this driver's, and not that of an earlier one."""
        if self.pid is not None:
            return heartbeat.pid == self.pid
        return heartbeat.host == self.host and heartbeat.started_at >= self.started_at - CLOCKS_DIFFER


class StreamRuntime(Protocol):
    """Launches, finds and ends the driver of the streaming application."""

    def find(self, heartbeat: Heartbeat | None) -> Driver | None:
        """Return the living driver, or None.

        Args:
            heartbeat: The last heartbeat seen; helps to find a driver whose launch was not recorded.
        """

    def launch(self, config_hash: str) -> Driver:
        """Start a driver that outlives the task.

        Raises:
            JobRuntimeError: It could not be started.
        """

    def wait(self, driver: Driver, seconds: float) -> bool:
        """Wait at most `seconds` for the driver's end; True when it has ended."""

    def stop(self, driver: Driver, seconds: float) -> str:
        """End the driver after its running micro-batch; by force when that takes longer than `seconds`.

        Returns:
            How it ended, for the log.
        """

    def last_words(self, lines: int = 20) -> list[str]:
        """Return the last lines of the newest driver's output, without credentials."""
