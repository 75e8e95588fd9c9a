"""The frame every job runs in: arguments, result file, exit status.

Exit statuses are the contract with the orchestrator: 0 done, 2 bad input or configuration (no retry),
99 skipped, anything else a failure worth a retry.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spark_jobs.config import Config
from spark_jobs.errors import JobError, JobSkipped

EXIT_BAD_INPUT = 2
EXIT_SKIPPED = 99

Job = Callable[[argparse.Namespace, Config], dict[str, Any]]


def run(job: Job, parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse the command line, run `job` and write its result.

    Args:
        job: Does the work; gets the parsed arguments and the configuration, returns JSON-serialisable metrics.
        parser: The job's own options; `--result` is added here.
        argv: Command line without the program's name; `sys.argv` unless given.

    Returns:
        The exit status.
    """
    parser.add_argument("--result", type=Path, metavar="PATH", help="write the metrics to PATH, as one JSON object")
    args = parser.parse_args(argv)
    log_to_stdout()
    try:
        result = job(args, Config.from_env())
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except JobSkipped as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return EXIT_SKIPPED
    if args.result:
        write_result(args.result, result)
    return 0


def log_to_stdout() -> None:
    """Let this process log as jobs do; libraries say only what is wrong."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.WARNING)


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write `result` as JSON in one step: a reader sees all of it or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(result, default=str) + "\n")
    partial.replace(path)
