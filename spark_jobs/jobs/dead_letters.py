"""Lists dead letters: how many there are for which reason, or single ones of one reason, open and new ones first.

In a terminal a record is cut at the end of the line; a pipe or a file gets all of it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Any

from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.errors import JobError
from spark_jobs.events.dead_letter_tables import letter_table, reason_table
from spark_jobs.events.dead_letters import COLLECTION, OPEN, count_by_reason, selection
from spark_jobs.mongo import database


def main(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """List; returns the number of `open` and of all `letters` (of the reason, if one is given)."""
    if args.limit < 1:
        raise JobError("--limit must be at least 1")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    db = database(config)
    counts = count_by_reason(db)
    chosen = selection(args.reason, counts)
    letters, still_open = (db[COLLECTION].count_documents(which) for which in (chosen, chosen | OPEN))
    if args.reason and letters:
        shown = db[COLLECTION].find(chosen).sort([("resubmitted_at", 1), ("kafka_timestamp", -1)]).limit(args.limit)
        lines, note = letter_table(shown, width), f"shown are {min(letters, args.limit)}, open and new ones first"
    else:
        lines, note = reason_table(counts, width), "one with several reasons counts for each"
    if letters:
        print("\n".join([*lines, "", f"{letters} dead letters, {still_open} open; {note}"]))
    else:
        print("there are no dead letters")
    return {"letters": letters, "open": still_open}


def parser() -> argparse.ArgumentParser:
    """Return the command line of this job."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--reason", default="", help="list the dead letters that have this reason")
    options.add_argument("--limit", type=int, default=20, help="with --reason: show at most so many (default: 20)")
    return options


if __name__ == "__main__":
    sys.exit(run(main, parser()))
