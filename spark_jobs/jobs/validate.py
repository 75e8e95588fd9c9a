"""Checks every collection against its suite in `expectations/`, and Kafka's offsets against what is stored.

Of each collection it reads what is new since its last check, or all of it (--whole), batch by batch. Writes one
document per check to `data_quality_results`, and the pages of the run to reports/quality/<run id>/ in the data folder.
Expectations that fail are a result, not an error: the exit status says whether the checks could be made.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from spark_jobs.ahead import ahead_elsewhere
from spark_jobs.config import Config
from spark_jobs.entry import log_to_stdout, run
from spark_jobs.errors import JobError
from spark_jobs.mongo import Document, database
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.outcome import Outcome, run_status
from spark_jobs.quality.reading import RESULTS, Options, Read, first_line, generation, read
from spark_jobs.quality.references import Lookup
from spark_jobs.quality.report import OVERVIEW, prune, publish_docs, report_folder, write_overview
from spark_jobs.quality.run import (
    RECONCILIATION,
    SELF_AUDIT,
    CollectionCheck,
    check_reconciliation,
    check_self_audit,
    forget,
    store,
)
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER

log = logging.getLogger("validate")

EXIT_FAILED = 1
LIMIT = 1_000_000
KEEP_REPORTS = 200
# Results of more than a year: the same season of last year is there to be compared with.
KEEP_DAYS = 400

# Checks that are no suite's, made beside those of the collections: they wait for the database, those compute.
OTHER_CHECKS: dict[str, Callable[[Database[Document], Config], Outcome]] = {
    RECONCILIATION: check_reconciliation,
    SELF_AUDIT: check_self_audit,
}


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
    add("--whole", action="store_true", help="check whole collections, and not only what is new since the last check")
    add(
        "--limit",
        type=_positive,
        metavar="N",
        help=f"check the newest N documents of each at most ({LIMIT:,}; with --whole: all)",
    )
    add("--run-id", default="", metavar="TEXT", help="names the run; the same name overwrites (default: the time, UTC)")
    add("--report-url", metavar="URL", help="where the run's pages will be served; stored and logged")
    add("--suites", type=Path, default=SUITES_FOLDER, metavar="FOLDER", help="where the suites are (expectations/)")
    add("--keep-reports", type=_positive, default=KEEP_REPORTS, metavar="N", help=f"runs with pages ({KEEP_REPORTS})")
    add("--keep-days", type=_positive, default=KEEP_DAYS, metavar="N", help=f"days that results are kept ({KEEP_DAYS})")
    add("--fail-on-critical", action="store_true", help="exit 1 on critical findings, after all is checked and stored")
    return options


def validate(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Check, store, report.

    Returns:
        By the name of each check its figures (see `Outcome.metrics`) with `report` (path of the overview) and
        `report_url`.

    Raises:
        JobError: An unknown collection, no suites, no place to write, or no MongoDB.
    """
    names = _names(args.collections, args.suites)
    run_id = args.run_id or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reports, work = (_folder(config.data_dir / name) for name in ("reports/quality", "work"))
    db, folder = database(config), report_folder(reports, run_id)
    log.info("run %s: %d checks; Great Expectations is loading", run_id, len(names))
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

    with tempfile.TemporaryDirectory(prefix="quality-", dir=work) as project:
        # Earlier results of a collection are looked for at each check.
        db[RESULTS].create_index([("collection", 1), ("started_at", -1)])
        limit = args.limit or (None if args.whole else LIMIT)
        options = Options(run_id, args.suites, args.whole, limit, args.limit is not None, generation(db))
        collections = [name for name in names if name not in OTHER_CHECKS]
        with ThreadPoolExecutor(1) as beside:
            others = [beside.submit(OTHER_CHECKS[name], db, config) for name in names if name in OTHER_CHECKS]
            reader = ahead_elsewhere(_read, config, collections, options)
            engine = check_collections(db, reader, lambda: Engine(Path(project), folder.name), keep)
            for other in others:
                keep(other.result())
        publish_docs(engine.build_docs(), folder)
    for outcome in unsaved:
        save(outcome)
    page = write_overview(folder, run_id, _results(db, run_id))
    prune(reports, args.keep_reports)
    forget(db, names, datetime.now(UTC) - timedelta(days=args.keep_days))
    critical, warnings = (sum(getattr(one, name) for one in outcomes) for name in ("critical", "warnings"))
    log.info("%s: %d critical, %d warnings; %s", run_status(outcomes), critical, warnings, args.report_url or page)
    return _result(outcomes, page, args.report_url)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns the exit status."""
    lines: list[str] = []

    def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
        result = validate(args, config)
        if args.fail_on_critical and any(figures["critical"] for figures in result.values()):
            lines.extend(line for figures in result.values() for line in figures["findings"])
        return result

    try:
        status = run(job, parser(), argv)
    except PyMongoError as error:
        print(f"error: MongoDB went away: {first_line(error)} (`make status`)", file=sys.stderr)
        return EXIT_FAILED
    print("\n".join(lines), file=sys.stderr, end="\n" if lines else "")
    return EXIT_FAILED if lines else status


def check_collections(
    db: Database[Document],
    reader: Iterator[Read],
    make_engine: Callable[[], Engine],
    keep: Callable[[Outcome], None],
) -> Engine:
    """Check collections in order, and hand on each outcome; returns the engine, for the Data Docs.

    Args:
        db: The platform's database.
        reader: Yields what is read (see `reading.read`), first batches perhaps while `make_engine` is at work.
        make_engine: Imports Great Expectations.
        keep: Takes each outcome.
    """
    check: CollectionCheck | None = None
    lookup, engine = Lookup(db), make_engine()
    for source, batch in reader:
        check = check or CollectionCheck(source, engine, db, lookup)
        if batch is not None:
            check.batch(batch)
        else:
            keep(check.outcome(source))
            check = None
    return engine


def _read(config: Config, names: Sequence[str], options: Options) -> Iterator[Read]:
    """Read collections in a process of its own: decoding documents takes nearly as long as evaluating them."""
    log_to_stdout()
    yield from read(database(config), names, options)


def _names(wanted: Iterable[str], suites: Path) -> list[str]:
    """What to check, in the order of the list of collections, each once."""
    if not suites.is_dir():
        raise JobError(f"there is no folder of suites at {suites} (give --suites)")
    added = sorted({path.stem for path in suites.glob("*.json")} - set(COLLECTIONS))
    known = [*COLLECTIONS, *added, *OTHER_CHECKS]
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


def _result(outcomes: Sequence[Outcome], page: Path, report_url: str | None) -> dict[str, Any]:
    where = {"report": str(page), "report_url": report_url}
    return {outcome.collection: outcome.metrics() | where for outcome in outcomes}


def _positive(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")


if __name__ == "__main__":
    sys.exit(main())
