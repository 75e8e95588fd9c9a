"""Reads collections one after the other, batch by batch, with what is known of their earlier checks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pymongo.database import Database
from pymongo.errors import PyMongoError

from spark_jobs.errors import first_lines
from spark_jobs.events.topic import KafkaUnreachable
from spark_jobs.mongo import Document
from spark_jobs.quality.frames import to_frames
from spark_jobs.quality.rules import RuleError
from spark_jobs.quality.suites import Suite, SuiteError, load_suite
from spark_jobs.quality.windows import Mark, Reading, next_since

log = logging.getLogger(__name__)

RESULTS = "data_quality_results"

# A week of hourly checks: what figures are compared with.
_HISTORY = 168

Item = TypeVar("Item")


@dataclass
class Source:
    """A collection that is being read.

    Attributes:
        collection: Its name.
        started_at: When its check began, UTC.
        suite: Its suite, if that could be read.
        history: Profiles of earlier checks, newest first (see `figures`).
        mark: What this check reads; complete when the source is `done`.
        read: Documents read so far.
        total: Documents there are.
        cut: Whether the limit left older documents of the window out.
        partial: Whether it was somebody's own limit: then the next check begins where this one did.
        seconds: Time spent reading.
        error: Why it could not be read, or not to its end.
        done: Whether reading has ended.
    """

    collection: str
    started_at: datetime
    suite: Suite | None = None
    history: list[Document] = field(default_factory=list)
    mark: Mark | None = None
    read: int = 0
    total: int = 0
    cut: bool = False
    partial: bool = False
    seconds: float = 0.0
    error: str | None = None
    done: bool = False


Read = tuple[Source, pd.DataFrame | None]


@dataclass(frozen=True)
class Options:
    """How collections are read.

    Attributes:
        run_id: The run, whose own results are no earlier checks.
        suites: Folder of the suites.
        whole: Whether everything is read, and not only what is new.
        limit: Largest number of documents of a collection, of the newest ones; None for all.
        partial: Whether that is somebody's own limit, and not the usual one.
        generation: The stream's checkpoint.
    """

    run_id: str
    suites: Path
    whole: bool
    limit: int | None
    partial: bool
    generation: str | None


def read(db: Database[Document], names: Iterable[str], options: Options) -> Iterator[Read]:
    """Read what the checks of collections need, one after the other.

    Whatever goes wrong is told by the source (`error`): other collections can still be checked.

    Yields:
        A collection's source with each batch of its documents (see `frames.to_frame`), at last with None, then it is
        `done`.
    """
    for name in names:
        yield from _read(db, name, options)


def _read(db: Database[Document], name: str, options: Options) -> Iterator[Read]:
    source = Source(name, datetime.now(UTC))
    batches = _batches(db, source, options)
    while True:
        start = time.monotonic()
        error, batch = attempt(name, lambda: next(batches, None))
        source.seconds += time.monotonic() - start
        source.error = error
        source.done = batch is None
        yield source, batch
        if source.done:
            return


def _batches(db: Database[Document], source: Source, options: Options) -> Iterator[pd.DataFrame]:
    suite = source.suite = load_suite(source.collection, options.suites)
    last, source.history = earlier_results(db, source.collection, options.run_id)
    since = None if options.whole else next_since(last, options.generation, suite.window)
    reading = Reading(db, source.collection, suite.window, since, options.limit)
    source.mark = Mark(since, since, options.generation)
    for frame in to_frames(reading, suite.columns):
        source.read = reading.read
        if not frame.empty:
            yield frame
    source.cut, source.mark = reading.cut, Mark(since, reading.until, options.generation)
    source.partial = reading.cut and options.partial
    # Counting is not free everywhere, and needless where everything was read.
    whole = since is None and not reading.cut
    source.total = source.read if whole else max(source.read, db[source.collection].estimated_document_count())


def earlier_results(db: Database[Document], name: str, run_id: str) -> tuple[Document | None, list[Document]]:
    """Return the last result of an earlier run that tells what it read, and the profiles of the last week's."""
    query = {"collection": name, "run_id": {"$ne": run_id}, "window": {"$ne": None}}
    wanted = {"window": 1, "critical": 1, "profile": 1}
    found = list(db[RESULTS].find(query, wanted).sort("started_at", -1).limit(_HISTORY))
    return (found[0] if found else None), [one["profile"] for one in found if one.get("profile")]


def attempt(name: str, step: Callable[[], Item]) -> tuple[str | None, Item | None]:
    """Run a step; returns what went wrong, in a sentence, and what it returned."""
    try:
        return None, step()
    except (SuiteError, KafkaUnreachable) as error:
        return str(error), None
    except RuleError as error:
        return f"{name}.json: {error}", None
    except PyMongoError as error:
        return f"MongoDB: {first_line(error)}", None
    except Exception as error:
        # One collection must not keep the others from being checked, whatever is wrong with it.
        log.exception("%s could not be checked", name)
        return f"{type(error).__name__}: {error}"[:300], None


def first_line(error: BaseException) -> str:
    """What went wrong, without the driver's description of the whole topology."""
    return first_lines(error).split(" (configured timeouts")[0][:300]


def generation(db: Database[Document]) -> str | None:
    """Return the name of the stream's checkpoint; None before there is one."""
    driver: Mapping[str, Any] = db["stream_health"].find_one({"_id": "driver"}, {"generation": 1}) or {}
    return driver.get("generation")
