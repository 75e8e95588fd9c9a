"""Checks every collection against its suite in `expectations/`, and Kafka's offsets against what is stored.

Writes one document per check to `data_quality_results` and the pages of the run to reports/quality/<run id>/ in the data
folder. Expectations that fail are a result, not an error: the exit status says whether the checks could be made.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
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
from spark_jobs.quality.report import prune, publish_docs, report_folder, write_overview
from spark_jobs.quality.run import RECONCILIATION, RESULTS, check_collection, check_reconciliation, store
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER

log = logging.getLogger("validate")

EXIT_FAILED = 1
LIMIT = 100_000
KEEP_REPORTS = 200
_FINDINGS_IN_RESULT = 10


def parser() -> argparse.ArgumentParser:
    """The job's options."""
    options = argparse.ArgumentParser(
        prog="validate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--collections",
        nargs="*",
        default=[],
        metavar="NAME",
        help=f"what to check, separated by blanks or commas; '{RECONCILIATION}' is one of them (default: everything)",
    )
    options.add_argument(
        "--limit", type=_positive, default=LIMIT, metavar="N",
        help="newest documents to check per collection (default: %(default)s)",
    )  # fmt: skip
    options.add_argument("--run-id", default="", metavar="TEXT", help="names the run; the same id overwrites (default: now)")
    options.add_argument("--report-url", metavar="URL", help="where the run's pages will be served; stored and logged")
    options.add_argument(
        "--suites", type=Path, default=SUITES_FOLDER, metavar="FOLDER", help="where the suites are (default: %(default)s)"
    )
    options.add_argument(
        "--keep-reports", type=_positive, default=KEEP_REPORTS, metavar="N",
        help="runs whose pages are kept (default: %(default)s)",
    )  # fmt: skip
    options.add_argument(
        "--fail-on-critical", action="store_true", help="exit 1 on critical findings, after everything was checked and stored"
    )
    return options


def validate(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Check, store, report.

    Returns:
        `run_id`, `status` (passed, warning, failed), `critical`, `warnings`, `report` (path of the overview),
        `report_url`, and `collections`: by name `status`, `checked`, `total`, `evaluated`, `successful`, `critical`,
        `warnings`, `seconds`, `message`, `error` and `findings` (one line each, at most ten).

    Raises:
        JobError: An unknown collection, no suites folder, or no MongoDB.
    """
    names = _names(args.collections, args.suites)
    run_id = args.run_id or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reports, work = config.data_dir / "reports" / "quality", config.data_dir / "work"
    for folder in (reports, work):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"cannot write to {folder} ({error.strerror}): check SHOPSTREAM_DATA_DIR") from None
    db, folder = database(config), report_folder(reports, run_id)
    log.info("run %s: %d checks, up to %s documents each; loading Great Expectations", run_id, len(names), f"{args.limit:,}")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="quality-", dir=work) as project:
        engine = Engine(Path(project), run_id)
        for name in names:
            outcome = _check(name, args, config, db, engine)
            store(db, run_id, outcome, f"{folder.name}/index.html", args.report_url)
            outcomes.append(outcome)
            _log(outcome)
        publish_docs(engine.build_docs(), folder)
    page = write_overview(folder, run_id, _results(db, run_id))
    prune(reports, args.keep_reports)
    result = _result(run_id, outcomes, page, args.report_url)
    log.info(
        "%s: %d critical, %d warnings; %s",
        result["status"], result["critical"], result["warnings"], args.report_url or page,
    )  # fmt: skip
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns the exit status."""
    finished: list[dict[str, Any]] = []
    fail_on_critical = False

    def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
        nonlocal fail_on_critical
        fail_on_critical = args.fail_on_critical
        finished.append(validate(args, config))
        return finished[-1]

    try:
        status = run(job, parser(), argv)
    except PyMongoError as error:
        print(f"error: MongoDB went away: {str(error).splitlines()[0][:300]}", file=sys.stderr)
        return EXIT_FAILED
    if status == 0 and fail_on_critical and finished[0]["critical"]:
        for figures in finished[0]["collections"].values():
            for line in figures["findings"]:
                print(line, file=sys.stderr)
        return EXIT_FAILED
    return status


def _check(
    name: str, args: argparse.Namespace, config: Config, db: Database[Document], engine: Engine
) -> Outcome:
    if name == RECONCILIATION:
        return check_reconciliation(db, config)
    return check_collection(db, name, args.limit, engine, args.suites)


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


def _results(db: Database[Document], run_id: str) -> list[Document]:
    """All results of the run, those of other processes that check a part of it included."""
    return sorted(db[RESULTS].find({"run_id": run_id}), key=lambda result: str(result["collection"]))


def _log(outcome: Outcome) -> None:
    log.log(logging.ERROR if outcome.critical else logging.INFO, outcome.summary())
    for finding in outcome.findings:
        log.log(
            logging.ERROR if finding.severity == "critical" else logging.WARNING, finding.line(outcome.collection)
        )


def _result(run_id: str, outcomes: Sequence[Outcome], page: Path, report_url: str | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "status": run_status(outcomes),
        "critical": sum(outcome.critical for outcome in outcomes),
        "warnings": sum(outcome.warnings for outcome in outcomes),
        "collections": {outcome.collection: _figures(outcome) for outcome in outcomes},
        "report": str(page),
        "report_url": report_url,
    }


def _figures(outcome: Outcome) -> dict[str, Any]:
    lines = [finding.line(outcome.collection) for finding in outcome.findings]
    if outcome.error is not None:
        lines.insert(0, f"CRITICAL {outcome.collection}: {outcome.error}")
    return {
        "status": outcome.status,
        "checked": outcome.checked,
        "total": outcome.total,
        "evaluated": outcome.evaluated,
        "successful": outcome.evaluated - len(outcome.findings),
        "critical": outcome.critical,
        "warnings": outcome.warnings,
        "seconds": round(outcome.seconds, 3),
        "message": outcome.message,
        "error": outcome.error,
        "findings": lines[:_FINDINGS_IN_RESULT],
    }


def _positive(text: str) -> int:
    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")


if __name__ == "__main__":
    sys.exit(main())
