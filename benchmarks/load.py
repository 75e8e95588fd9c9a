"""A live shop: events that happen now, sent at a steady rate until SIGTERM.

Who does what to which product comes from an events file, again and again; only the times are those of the sending.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.events.producing import Outbox, producer
from spark_jobs.events.record import Record, encoder
from spark_jobs.events.replay import send
from spark_jobs.events.source import Row, rows


def happening_now(path: Path) -> Iterator[Row]:
    """Read a file's rows over and over, each with the present as its `event_time`."""
    while True:
        for row in rows(path):
            yield [now(), *row[1:]]


def now() -> str:
    """Return the present as events files write it, in whole seconds."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def main(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Send until told to end; returns how many events were sent."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    encode = encoder("benchmark load")

    def records() -> Iterator[tuple[int, Record]]:
        for number, row in enumerate(happening_now(args.file), start=1):
            if told:
                return
            yield number, encode(number, row)

    client = producer(config)
    try:
        return {"sent": send(Outbox(client, config.topic), records(), lambda _number: None, args.rate)}
    finally:
        client.close()


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--file", type=Path, required=True, help="events file: .csv, .csv.gz or .parquet")
    options.add_argument("--rate", type=float, required=True, help="events per second")
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
