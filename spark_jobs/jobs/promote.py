"""Make the run of a moment the one that pages and users read, unless its churn model is clearly worse."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from spark_jobs import entry
from spark_jobs.config import Config
from spark_jobs.errors import JobSkipped
from spark_jobs.ml import registry
from spark_jobs.ml.as_of import iso, parse_as_of
from spark_jobs.ml.rival import rival_auc
from spark_jobs.ml.run import TrainingRun, parser
from spark_jobs.mongo import database


def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Move `latest`, or say why not; `refused` where a person may still do it.

    Raises:
        JobSkipped: A person wants the run promoted, and that is not possible (any more).
    """
    as_of = parse_as_of(args.as_of)
    db = database(config)
    latest = registry.latest(db)
    rival = None
    if latest and latest["as_of"] < as_of:
        run = TrainingRun("promote", as_of, config)
        try:
            rival = rival_auc(run, registry.recorded_run(db, latest["as_of"], "churn"), config)
        finally:
            run.close()
    verdict = registry.promote(db, as_of, rival, args.by)
    if args.by and not verdict.promoted:
        # Not done: nobody must be told that what is to be read has changed.
        raise JobSkipped(f"{iso(as_of)} is not promoted, though {args.by} wants it: {verdict.reason}")
    return {
        "as_of": iso(as_of),
        "promoted": verdict.promoted,
        "refused": verdict.refused,
        "reason": verdict.reason,
        "rival_auc": rival,
    }


def options() -> argparse.ArgumentParser:
    """Make the command line."""
    made = parser(__doc__)
    made.add_argument("--by", metavar="NAME", help="promote it though it is clearly worse; NAME is who says so")
    return made


if __name__ == "__main__":
    sys.exit(entry.run(job, options()))
