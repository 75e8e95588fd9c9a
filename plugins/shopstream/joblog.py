"""The output of jobs, line by line: which level a line has, what must not be shown, what ended the job."""

from __future__ import annotations

import logging
import re
from collections import deque

_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "FATAL": logging.CRITICAL,
}

# `2025-01-31 12:00:00,123 INFO name: text` (Python) and `25/01/31 12:00:00 WARN Name: text` (Spark)
_STAMPED = re.compile(rf"^[\d/:., T+-]{{17,}}Z? ({'|'.join(_LEVELS)}) +(.*)$")
# The last line of a traceback: `ValueError: text`, `py4j.protocol.Py4JError: text`.
_EXCEPTION = re.compile(r"^[\w.]*(Error|Exception|Interrupt|Exit)\b")
_CONTINUED = re.compile(r"^(\s|Caused by: |\.\.\. \d+ more|During handling of|The above exception)")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s/]+@")
_ERROR = re.compile(r"^(?:\S+: )?error: (.+)$")
_SKIPPED = re.compile(r"^skipped: (.+)$")


def redact(text: str) -> str:
    """Blank out user names and passwords inside connection strings."""
    return _CREDENTIALS.sub("***:***@", text)


class JobLog:
    """Reads a job's output as it comes; remembers the end of it.

    Attributes:
        tail: The last lines, oldest first, without credentials.
        skipped: What the job's last `skipped:` line says.
    """

    def __init__(self, keep: int = 20) -> None:
        self.tail: deque[str] = deque(maxlen=keep)
        self._said: str | None = None
        self._exception: str | None = None
        self.skipped: str | None = None
        self._level = logging.INFO

    def read(self, raw: str) -> tuple[int, str]:
        """Take one line.

        Args:
            raw: The line as the job printed it.

        Returns:
            Its log level, and its text without the job's own time stamp (the task log has one) and without credentials.
            Lines of a stack trace have the level of the line that it belongs to.
        """
        line = redact(raw.rstrip())
        self.tail.append(line)
        if match := _STAMPED.match(line):
            self._level = _LEVELS[match[1]]
            return self._level, match[2]
        if line.startswith("Traceback "):
            self._level = logging.ERROR
        elif match := _ERROR.match(line):
            self._said, self._level = match[1], logging.ERROR
        elif match := _SKIPPED.match(line):
            self.skipped, self._level = match[1], logging.WARNING
        elif self._level == logging.ERROR and _EXCEPTION.match(line):
            self._exception = line
        elif not _CONTINUED.match(line):
            self._level = logging.INFO
        return self._level, line

    @property
    def error(self) -> str | None:
        """What the job's last `error:` line says, else the exception at the end of its last traceback."""
        return self._said or self._exception
