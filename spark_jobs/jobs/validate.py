"""Checks every collection against its suite in `expectations/`, and Kafka's offsets against what is stored.

Writes one document per check to `data_quality_results`, and the pages of the run to reports/quality/<run id>/ in the
data folder. Expectations that fail are a result, not an error: the exit status says whether the checks could be made.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.errors import JobError
from spark_jobs.mongo import Document, database
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.outcome import Outcome, run_status
from spark_jobs.quality.report import OVERVIEW, prune, publish_docs, report_folder, write_overview
from spark_jobs.quality.run import (
    RECONCILIATION,
    RESULTS,
    Fetched,
    check_reconciliation,
    evaluate,
    fetch,
    first_line,
    store,
)
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER

log = logging.getLogger("validate")

EXIT_FAILED = 1
LIMIT = 100_000
KEEP_REPORTS = 200


def parser() -> argparse.ArgumentParser:
    """The job's options."""
    options = argparse.ArgumentParser(
        prog="validate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add(
        "--collections",
        nargs="*",
        default=[],
        metavar="NAME",
        help=f"what to check, separated by blanks or commas; '{RECONCILIATION}' is one of them (default: everything)",
    )
    add("--limit", type=_positive, default=LIMIT, metavar="N", help=f"newest documents to check of each ({LIMIT:,})")
    add("--run-id", default="", metavar="TEXT", help="names the run; the same name overwrites (default: the time, UTC)")
    add("--report-url", metavar="URL", help="where the run's pages will be served; stored and logged")
    add("--suites", type=Path, default=SUITES_FOLDER, metavar="FOLDER", help="where the suites are (expectations/)")
    add("--keep-reports", type=_positive, default=KEEP_REPORTS, metavar="N", help=f"runs with pages ({KEEP_REPORTS})")
    add("--fail-on-critical", action="store_true", help="exit 1 on critical findings, after all is checked and stored")
    return options


def validate(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Check, store, report.

    Returns:
        `run_id`, `status` (passed, warning, failed), `critical`, `warnings`, `report` (path of the overview),
        `report_url`, and `collections`: the figures of each check by its name (see `Outcome.metrics`).

    Raises:
        JobError: An unknown collection, no suites, no place to write, or no MongoDB.
    """
    names = _names(args.collections, args.suites)
    run_id = args.run_id or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reports, work = (_folder(config.data_dir / name) for name in ("reports/quality", "work"))
    db, folder = database(config), report_folder(reports, run_id)
    log.info("run %s: %d checks of up to %s documents; Great Expectations is loading", run_id, len(names), args.limit)
    outcomes: list[Outcome] = []
    unsaved: list[Outcome] = []

    def save(outcome: Outcome) -> None:
        store(db, run_id, outcome, f"{folder.name}/{OVERVIEW}", args.report_url)

    def keep(outcome: Outcome) -> None:
        outcomes.append(outcome)
        _log(outcome)
        try:
            save(outcome)
        except PyMongoError as error:
            log.warning("%s: the result is kept for later: %s", outcome.collection, first_line(error))
            unsaved.append(outcome)

    def read(name: str) -> Fetched | Outcome:
        if name == RECONCILIATION:
            return check_reconciliation(db, config)
        return fetch(db, name, args.limit, args.suites)

    with tempfile.TemporaryDirectory(prefix="quality-", dir=work) as project:
        engine = _check_all(names, read, lambda: Engine(Path(project), folder.name), keep)
        publish_docs(engine.build_docs(), folder)
    for outcome in unsaved:
        save(outcome)
    page = write_overview(folder, run_id, _results(db, run_id))
    prune(reports, args.keep_reports)
    result = _result(run_id, outcomes, page, args.report_url)
    totals = result["status"], result["critical"], result["warnings"]
    log.info("%s: %d critical, %d warnings; %s", *totals, args.report_url or page)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns the exit status."""
    lines: list[str] = []

    def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
        result = validate(args, config)
        if args.fail_on_critical and result["critical"]:
            lines.extend(line for figures in result["collections"].values() for line in figures["findings"])
        return result

    try:
        status = run(job, parser(), argv)
    except PyMongoError as error:
        print(f"error: MongoDB went away: {first_line(error)} (`make status`)", file=sys.stderr)
        return EXIT_FAILED
    print("\n".join(lines), file=sys.stderr, end="\n" if lines else "")
    return EXIT_FAILED if lines else status


def _check_all(
    names: Sequence[str],
    read: Callable[[str], Fetched | Outcome],
    make_engine: Callable[[], Engine],
    keep: Callable[[Outcome], None],
) -> Engine:
    """Check in order, and hand on each outcome; returns the engine, for the Data Docs.

    One collection is read ahead, by a second thread: reading waits for the database, evaluating computes. The first one
    is read while Great Expectations is being imported.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(read, names[0])
        engine = make_engine()
        for following in (*names[1:], None):
            found = ahead.result()
            if following is not None:
                ahead = reader.submit(read, following)
            keep(found if isinstance(found, Outcome) else evaluate(found, engine))
    return engine


def _names(wanted: Iterable[str], suites: Path) -> list[str]:
    """What to check, in the order of the list of collections, each once."""
    if not suites.is_dir():
        raise JobError(f"there is no folder of suites at {suites} (give --suites)")
    added = sorted({path.stem for path in suites.glob("*.json")} - set(COLLECTIONS))
    known = [*COLLECTIONS, *added, RECONCILIATION]
    asked = {name for text in wanted for name in re.split(r"[,\s]+", text) if name}
    if unknown := sorted(asked - set(known)):
        raise JobError(f"no such collection: {', '.join(unknown)} (known: {', '.join(known)})")
    return [name for name in known if name in asked or not asked]


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JobError(f"cannot write to {path} ({error.strerror}): check SHOPSTREAM_DATA_DIR") from None
    return path


def _results(db: Database[Document], run_id: str) -> list[Document]:
    """All results of the run, those of other processes that check a part of it included."""
    return sorted(db[RESULTS].find({"run_id": run_id}), key=lambda result: str(result["collection"]))


def _log(outcome: Outcome) -> None:
    log.log(logging.ERROR if outcome.critical else logging.INFO, outcome.summary())
    for finding in outcome.findings:
        log.log(logging.ERROR if finding.severity == "critical" else logging.WARNING, finding.line(outcome.collection))


def _result(run_id: str, outcomes: Sequence[Outcome], page: Path, report_url: str | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "status": run_status(outcomes),
        "critical": sum(outcome.critical for outcome in outcomes),
        "warnings": sum(outcome.warnings for outcome in outcomes),
        "collections": {outcome.collection: outcome.metrics() for outcome in outcomes},
        "report": str(page),
        "report_url": report_url,
    }


def _positive(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")


if __name__ == "__main__":
    sys.exit(main())
