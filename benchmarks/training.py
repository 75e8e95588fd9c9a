"""Measures a whole training, from the events in MongoDB to promoted models, and how its time grows with the events.

For each size: generated events go into a document store of their own; then the jobs of train_models run as its tasks
do, each a process, two at a time. The clock runs from the first job's start to the last one's end; Airflow is not in
it. Beside the time stands how good the models are, judged by what the generator knows. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.agreement import adjusted_rand_index
from benchmarks.figures import table
from benchmarks.options import Parser, count, run
from benchmarks.servers import Servers, servers
from data.generate_events import generate
from data.shopgen.settings import Settings
from embedded.progress import Progress
from spark_jobs.events.source import COLUMNS, rows
from spark_jobs.ml.as_of import iso

# 50,000 users at a million events.
_EVENTS_PER_USER = 20
_DAYS = 37
_AT_A_TIME = 2
_BULK = 5_000

# As in dags/train_models.py: a job, and what has to be done before it. In the order in which they are started.
JOBS: dict[str, tuple[str, ...]] = {
    "extract_events": (),
    "features": ("extract_events",),
    "segments": ("features",),
    "churn": ("features",),
    "recommendations": ("extract_events",),
    "time_series": ("extract_events",),
    "statistics": ("extract_events",),
    "journeys": ("extract_events",),
    "promote": ("segments", "churn", "recommendations", "time_series", "statistics", "journeys"),
}


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        events: Number of generated events.
        users: Number of users with features.
        seconds: Of the whole.
        by_job: Seconds of each job's process.
        documents: Number of documents written.
        quality: Figures of the models.
    """

    events: int
    users: int
    seconds: float
    by_job: dict[str, float]
    documents: int
    quality: dict[str, Any]


def documents(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a generated file as training reads them from `enriched_events`."""
    for number, row in enumerate(rows(file)):
        event = dict(zip(COLUMNS, row, strict=True))
        yield {
            "_id": f"event-{number:09}",
            "event_timestamp": datetime.strptime(str(event["event_time"]), "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC),
            "event_type": event["event_type"],
            "product_id": int(event["product_id"] or 0),
            "category_name": (event["category_code"] or "unknown").partition(".")[0],
            "brand": event["brand"] or "unknown",
            "price": float(event["price"] or 0),
            "user_id": int(event["user_id"] or 0),
            "user_session": event["user_session"],
        }


def load(running: Servers, events: int, seed: int, progress: Progress) -> tuple[str, dict[int, str]]:
    """Generate events and store them; returns the moment to train as of, and the true type of each user."""
    settings = Settings(users=max(50, events // _EVENTS_PER_USER), days=_DAYS, events=events, seed=seed)
    file, truth = running.folder / "events.csv", running.folder / "truth.csv"
    generate(settings, file, truth)
    collection = running.db["enriched_events"]
    collection.create_index("event_timestamp")
    remaining = documents(file)
    while bulk := list(islice(remaining, _BULK)):
        collection.insert_many(bulk, ordered=False)
    progress.say(f"{events:,} events of {settings.users:,} users are stored")
    types = dict(line.split(",")[:2] for line in truth.read_text().splitlines()[1:])
    end = datetime.combine(settings.start + timedelta(days=_DAYS), clock(), UTC)
    return iso(end), {int(user): name for user, name in types.items()}


def train(running: Servers, as_of: str) -> tuple[float, dict[str, float]]:
    """Run all jobs, two at a time, each as soon as those before it are done; returns the seconds of all, and of each.

    Raises:
        StackError: A job failed.
    """
    environ = running.environ("training")

    def timed(job: str) -> float:
        began = time.monotonic()
        running.run_job(f"spark_jobs.jobs.{job}", f"--as-of={as_of}", environ=environ)
        return time.monotonic() - began

    began = time.monotonic()
    waiting, at_work, seconds = dict(JOBS), dict[Future[float], str](), dict[str, float]()
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        while waiting or at_work:
            ready = [job for job, before in waiting.items() if set(before) <= seconds.keys()]
            # No more than there is room for: what becomes ready next may come first.
            for job in ready[: _AT_A_TIME - len(at_work)]:
                del waiting[job]
                at_work[pool.submit(timed, job)] = job
            for done in wait(at_work, return_when=FIRST_COMPLETED).done:
                seconds[at_work.pop(done)] = done.result()
    return time.monotonic() - began, seconds


def measure(running: Servers, events: int, seed: int, progress: Progress) -> Training:
    """Measure one size."""
    running.forget()
    as_of, truth = load(running, events, seed, progress)
    seconds, by_job = train(running, as_of)
    runs = {one["model"]: one for one in running.db["model_runs"].find({"kind": "run"})}
    progress.say(f"{events:,} events: trained in {seconds:.0f} s")
    return Training(
        events=events,
        users=runs["features"]["documents"],
        seconds=seconds,
        by_job=by_job,
        documents=sum(one["documents"] for one in runs.values()),
        quality=judged(running, runs, truth),
    )


def judged(running: Servers, runs: Mapping[str, Mapping[str, Any]], truth: Mapping[int, str]) -> dict[str, Any]:
    """Say how good the models are, by their records and by the true type of each user."""
    segments = {one["user_id"]: one["segment_name"] for one in running.db["customer_segments"].find()}
    users = sorted(segments)
    churn, recommended = runs["churn"]["metrics"], runs["recommendations"]["metrics"]
    return {
        "segments": runs["segments"]["metrics"]["segments"],
        "silhouette": runs["segments"]["metrics"]["silhouette"],
        "rand_index": adjusted_rand_index([segments[user] for user in users], [truth[user] for user in users]),
        "auc": churn["auc"],
        "boosting_auc": churn["boosting_auc"],
        "baseline_auc": churn["baseline_auc"],
        "hit_rate": recommended["hit_rate_at_10"],
        "popularity": recommended["popularity_hit_rate_at_10"],
    }


def report(store: str, measured: list[Training]) -> str:
    """Return the report: the machine, times by job, and the quality of the models."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    times = [["events", "users", "documents", "whole, s", *JOBS]]
    quality = [
        ["events", "segments", "silhouette", "Rand index", "churn AUC", "boosted", "recency", "hit@10", "popular"]
    ]
    for one in measured:
        totals = [f"{one.users:,}", f"{one.documents:,}", f"{one.seconds:.0f}"]
        times.append([f"{one.events:,}", *totals, *(f"{one.by_job[job]:.0f}" for job in JOBS)])
        figures = ("silhouette", "rand_index", "auc", "boosting_auc", "baseline_auc", "hit_rate", "popularity")
        shown = ["-" if one.quality[name] is None else f"{one.quality[name]:.3f}" for name in figures]
        quality.append([f"{one.events:,}", str(one.quality["segments"]), *shown])
    machine = f"{os.cpu_count()} cores, {memory:.0f} GB, document store {store}, {_AT_A_TIME} jobs at a time"
    return "\n".join([machine, "", table(times), "", table(quality)])


def parser() -> Parser:
    """Return the command line."""
    options = Parser("benchmarks.training", __doc__, events=1_000_000)
    options.add_argument(
        "--sizes", nargs="+", type=count, metavar="N", help="several numbers of events, one after the other"
    )
    return options


def main() -> int:
    """Run the command; returns 0 when every size was measured."""
    options: argparse.Namespace = parser().parse_args()
    with servers(options.store, options.keep) as running:
        progress = Progress()
        measured = [measure(running, size, options.seed, progress) for size in options.sizes or [options.events]]
        print(f"\n{report(running.store, measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
