"""What the command lines of the measurements share."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmarks.store import AUTO, CHOICES
from embedded.errors import StackError
from spark_jobs.errors import JobError
from spark_jobs.events.topic import KafkaUnreachable


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; with the options of every measurement.

    Args:
        module: Name of the module that is run.
        description: What it does.
        events: Default number of events.
    """

    def __init__(self, module: str, description: str | None, events: int) -> None:
        super().__init__(prog=f"python -m {module}", description=description)
        add = self.add_argument
        add("--events", type=count, default=events, metavar="N", help="events to generate (default %(default)s)")
        add("--seed", type=count, default=42, metavar="S", help="seed of the generator (default %(default)s)")
        add("--store", choices=CHOICES, default=AUTO, help="document store; auto (default): rs if at hand, else py")
        add("--keep", action="store_true", help="keep the folder of the servers, with all data and logs")

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        self.exit(2, f"error: {message} (see --help)\n")


def count(text: str) -> int:
    """Return a positive whole number of the command line."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def run(measure: Callable[[], int]) -> int:
    """Run a measurement; returns its exit status, 1 after one line about what went wrong. SIGTERM ends it cleanly."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return measure()
    except (StackError, JobError, KafkaUnreachable, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
