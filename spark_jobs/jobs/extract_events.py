"""Copy the events of the 37 days before a moment from MongoDB into the Parquet file that all training jobs read."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from spark_jobs import entry
from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.ml.as_of import iso, parse_as_of
from spark_jobs.ml.run import events_path, parser
from spark_jobs.ml.snapshot import as_result, extract, find_events
from spark_jobs.mongo import database

# Two machines' clocks differ by less.
CLOCKS = timedelta(minutes=1)


def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Write the snapshot; returns its figures.

    Raises:
        JobError: The moment is still to come. Promoted, its run would keep all others from being promoted until then.
    """
    as_of = parse_as_of(args.as_of)
    if as_of > datetime.now(UTC) + CLOCKS:
        raise JobError(f"--as-of {iso(as_of)} is in the future: what happens before it is not known yet")
    snapshot = extract(find_events(database(config)), as_of, events_path(config, as_of))
    return {"as_of": iso(as_of), **as_result(snapshot)}


if __name__ == "__main__":
    sys.exit(entry.run(job, parser(__doc__)))
