#!/usr/bin/env python3
"""Generate the events of a realistic shop as CSV, in the schema of the public "eCommerce behavior data" set.

The same arguments always make the same bytes. See data/README.md for the model behind it.
"""

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NoReturn

import numpy as np

# Run as a script, only this folder is on the path; the package is imported from the repository's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.shopgen.dirty import HEADER, pick_rows, spoil_lines
from data.shopgen.settings import Settings
from data.shopgen.shop import Shop
from data.shopgen.writer import atomic_file, check_target, format_rows

DEFAULTS = Settings()
DEFAULT_DIRTY = 0.01
PROGRESS_SECONDS = 2.0
TRUTH_HEADER = "user_id,type,churned_at"


@dataclass(frozen=True)
class Summary:
    """What was written: data rows, malformed rows among them, users with at least one well-formed row, products."""

    rows: int
    dirty: int
    users: int
    products: int


def generate(
    settings: Settings, out: Path, truth: Path | None = None, progress: Callable[[int], None] | None = None
) -> Summary:
    """Write one events file, and optionally the truth about its users.

    Args:
        settings: what to generate.
        out: target file; compressed if it ends in `.gz`; replaced only when complete.
        truth: target of `user_id,type,churned_at`, one row per user with a well-formed event.
        progress: called with the number of rows written so far, after each slice of time.

    Raises:
        OSError: a target cannot be written.
    """
    check_target(out, settings.events)
    if truth:
        check_target(truth)
        if truth.resolve() == out.resolve():
            raise OSError(f"--out and --truth are the same file, {out} (give two paths)")
    shop = Shop(settings)
    # A source of chance of its own: the well-formed rows are the same with and without malformed ones.
    dirty_rng = np.random.default_rng([settings.seed, 1])
    seen = np.zeros(settings.users, dtype=bool)
    sold = np.zeros(len(shop.catalogue), dtype=bool)
    written = 0
    with contextlib.ExitStack() as files:
        truth_file = files.enter_context(atomic_file(truth)) if truth else None
        file = files.enter_context(atomic_file(out))
        file.write(f"{HEADER}\n".encode())
        for day, rows in shop.play():
            if not len(rows):
                continue
            lines = format_rows(rows, settings.start, day, shop.catalogue, shop.population)
            wanted = settings.dirty_rows(written + len(rows)) - settings.dirty_rows(written)
            bad = pick_rows(dirty_rng, len(rows), wanted)
            spoil_lines(dirty_rng, lines, bad)
            seen[np.delete(rows.users, bad)] = True
            sold[np.delete(rows.products, bad)] = True
            file.write(("\n".join(lines) + "\n").encode())
            written += len(rows)
            if progress:
                progress(written)
        if truth_file:
            lines = [TRUTH_HEADER, *shop.population.truth(np.flatnonzero(seen), settings.days)]
            truth_file.write(("\n".join(lines) + "\n").encode())
    return Summary(written, settings.dirty_rows(written), int(seen.sum()), int(sold.sum()))


class Progress:
    """Prints how far a run is, at most every few seconds; quiet if it is over before."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._start = self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        """Print one line about `done` rows, if the last one was long enough ago."""
        now = time.monotonic()
        if now - self._last < PROGRESS_SECONDS:
            return
        self._last = now
        speed = done / (now - self._start)
        left = (self._total - done) / speed
        print(
            f"generated {done:,} of {self._total:,} events "
            f"({done / self._total:.0%}, {speed:,.0f}/s, about {left:.0f} s left)",
            file=sys.stderr,
            flush=True,
        )


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        self.exit(2, f"error: {message} (see --help)\n")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2019-10-01") from None


def build_parser() -> argparse.ArgumentParser:
    """The command line of the generator."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add = parser.add_argument
    add("--users", type=int, default=DEFAULTS.users, metavar="N", help="size of the population (default %(default)s)")
    add("--days", type=int, default=DEFAULTS.days, metavar="D", help="length of the period (default %(default)s)")
    add(
        "--events",
        type=int,
        default=DEFAULTS.events,
        metavar="E",
        help="exact number of data rows, malformed and duplicate ones included (default %(default)s)",
    )
    add("--seed", type=int, default=DEFAULTS.seed, metavar="S", help="seed of all chance (default %(default)s)")
    add(
        "--start",
        type=_day,
        default=DEFAULTS.start,
        metavar="YYYY-MM-DD",
        help="first day, UTC (default %(default)s)",
    )
    add(
        "--dirty",
        type=float,
        nargs="?",
        const=DEFAULT_DIRTY,
        default=DEFAULTS.dirty,
        metavar="FRACTION",
        help=f"share of malformed rows (default 0; {DEFAULT_DIRTY} if given without a value)",
    )
    add(
        "--out",
        type=Path,
        default=Path("events.csv.gz"),
        metavar="PATH",
        help="CSV file to write, compressed if it ends in .gz (default %(default)s)",
    )
    add("--truth", type=Path, metavar="PATH", help="also write user_id, type, churned_at of each user (CSV or CSV.gz)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 for bad input and files that cannot be written."""
    args = build_parser().parse_args(argv)
    began = time.monotonic()
    try:
        settings = Settings(args.users, args.days, args.events, args.seed, args.start, args.dirty)
        summary = generate(settings, args.out, args.truth, Progress(settings.events))
    except (ValueError, OSError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.errno:  # the system's own words, not ours
            reason = f"cannot write {args.out}: {error.strerror} (choose another path, or free some space)"
        print(f"error: {reason}", file=sys.stderr)
        return 2
    print(
        f"wrote {summary.rows:,} events ({summary.dirty:,} malformed) of {summary.users:,} users and "
        f"{summary.products:,} products to {args.out} in {time.monotonic() - began:.1f} s",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    # Termination unwinds like an error does, so that no temporary file is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
