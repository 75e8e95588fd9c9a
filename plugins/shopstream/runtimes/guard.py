"""Stands between an Airflow task and its job, so that a job never outlives its task. Standard library only.

    python -I -S guard.py GRACE_SECONDS COMMAND...

The job runs in its own process group. The guard ends that group (SIGTERM, at most GRACE_SECONDS, SIGKILL) when

- it is told to (SIGTERM: the task was cleared, marked, timed out), or
- its standard input closes. Only the task holds the other end of that pipe, so it closes whatever way the task ends,
  SIGKILL and the kernel's out-of-memory killer included. A parent-death signal (PR_SET_PDEATHSIG) on the job itself
  would not do: it reaches the job alone and not its JVM, would have to be set between fork and exec of a process with
  threads, and exists on Linux only.

Processes that an ended job left behind have GRACE_SECONDS to end too. The guard's exit status is the job's; where a
signal ended the job, the guard ends by the same signal. Should the guard itself be killed, a parent-death signal
on the job (Linux) is the second line; the JVM of PySpark ends by itself when its Python process is gone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# How often a group that is on its way out is looked at, where no SIGCHLD tells.
POLL_SECONDS = 0.2


def prctl(option: int, value: int) -> None:
    """Call Linux' prctl(2); elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the job in a process group of its own.

    Keep what this returns: a `Popen` that is forgotten collects its process's status itself, and `reap` never sees it.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        # Safe here: the guard has one thread.
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )


def send(group: int, number: int) -> bool:
    """Send a signal to a process group; False when nobody is left in it. Signal 0 only asks."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def reap(job: int) -> int | None:
    """Collect children that have ended; returns the job's wait status when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == job:
            found = status


def watch(job: int, wakeup: int, grace: float) -> int:
    """Wait until the job's group is gone, ending it when asked to; returns the job's wait status."""
    status: int | None = None
    deadline: float | None = None
    inputs = [0, wakeup]
    while True:
        if status is None:
            status = reap(job)
        else:
            reap(job)
        if status is not None and not send(job, 0):
            return status
        if status is not None and deadline is None:
            deadline = time.monotonic() + grace
        if deadline is not None and time.monotonic() > deadline:
            send(job, signal.SIGKILL)
        ready, _, _ = select.select(inputs, [], [], None if deadline is None else POLL_SECONDS)
        asked = wakeup in ready and signal.SIGTERM in os.read(wakeup, 64)
        orphaned = 0 in ready and not os.read(0, 64)
        if orphaned:
            inputs.remove(0)
        if asked or orphaned:
            send(job, signal.SIGTERM)
            deadline = deadline or time.monotonic() + grace


def leave(status: int) -> None:
    """End the way the job ended."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        sys.exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def main(argv: list[str]) -> None:
    """Run the guard: `argv` is the grace in seconds, then the command."""
    wakeup, write_end = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(write_end, False)
    # A handler must exist for a signal's number to arrive in the pipe; what to do is decided in `watch`.
    # Handlers, unlike SIG_IGN, are not inherited by the job.
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    # Processes that the job leaves behind become children of the guard, so that it sees their end.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    job = start(argv[1:])
    leave(watch(job.pid, wakeup, float(argv[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
