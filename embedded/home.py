"""The folder SHOPSTREAM_HOME: claiming it, and letting one command at a time change it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import StackError

CLAIM = "shopstream-home"
OWN_FOLDERS = ("venvs", "jars", "state", "run", "logs")
PRIVATE_FOLDERS = ("state", "run", "logs")


def claim(home: Path) -> None:
    """Create `home` and mark it as ours, so that `reset` can never delete folders of somebody else.

    Raises:
        StackError: it cannot be written, or it already holds a state/, run/ or logs/ that is not ours.
    """
    mark = home / CLAIM
    try:
        if not mark.exists():
            foreign = [name for name in PRIVATE_FOLDERS if (home / name).exists()]
            if foreign:
                raise StackError(
                    f"{home} already holds {foreign[0]}/ of something else (set SHOPSTREAM_HOME to an own folder)"
                )
            home.mkdir(parents=True, exist_ok=True)
            mark.write_text("This folder belongs to the embedded Shopstream stack; `make reset` empties it.\n")
        for name in PRIVATE_FOLDERS:
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"cannot write to {home}: {error.strerror} (set SHOPSTREAM_HOME to a writable folder)"
        ) from error


def require_writable(folder: Path, variable: str) -> None:
    """Create `folder` if needed; raise StackError naming `variable` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StackError(
            f"{variable}: cannot write to {folder}: {error.strerror} (set it to a writable folder)"
        ) from error


def is_claimed(home: Path) -> bool:
    """Whether `home` was created by `claim`."""
    return (home / CLAIM).is_file()


@contextmanager
def exclusive(home: Path, command: str) -> Iterator[None]:
    """Hold the lock of `home` while the block runs.

    Args:
        home: a claimed home.
        command: shown to whoever finds the lock held.

    Raises:
        StackError: another command holds it, or `home` was never claimed.
    """
    if not is_claimed(home):
        raise StackError(f"{home} is not the home of a stack (run make install, or check SHOPSTREAM_HOME)")
    with (home / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise StackError(f"another command is at work on {home}: {holder} (wait until it has finished)") from None
        lock.truncate(0)
        lock.write(f"{command}, process {os.getpid()}")
        lock.flush()
        yield
