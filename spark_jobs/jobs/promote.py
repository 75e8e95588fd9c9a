"""Make the run of a moment the one that pages and users read, unless its churn model is clearly worse."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from spark_jobs import entry
from spark_jobs.config import Config
from spark_jobs.ml.as_of import iso, parse_as_of
from spark_jobs.ml.registry import promote
from spark_jobs.ml.run import parser
from spark_jobs.mongo import database


def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Move `latest`, or say why not."""
    as_of = parse_as_of(args.as_of)
    promoted, reason = promote(database(config), as_of)
    return {"as_of": iso(as_of), "promoted": promoted, "reason": reason}


if __name__ == "__main__":
    sys.exit(entry.run(job, parser(__doc__)))
