"""Reads an events file once and says what it holds: rows, first and last event, the day boundary after the last."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.events.inspection import inspect

log = logging.getLogger(__name__)


def main(args: argparse.Namespace, _config: Config) -> dict[str, Any]:
    """Inspect the file; see `inspect`."""
    found = inspect(args.file, lambda count: log.info("%d rows read", count))
    log.info("%(rows)d rows from %(first_event)s to %(last_event)s", found)
    return found


def parser() -> argparse.ArgumentParser:
    """Return the command line of this job."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--file", type=Path, required=True, help="events file: .csv, .csv.gz or .parquet")
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
