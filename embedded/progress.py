"""Progress lines of commands that take longer than a few seconds."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints `[ 12.3s] what` lines, seconds since it was made. Safe to call from several threads."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Print one line, at once (output may be a pipe)."""
        sys.stdout.write(f"[{self.elapsed():5.1f}s] {text}\n")
        sys.stdout.flush()
