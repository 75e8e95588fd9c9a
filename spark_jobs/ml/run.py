"""The frame of a training job: find the snapshot, compute, publish the documents, record the run."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from spark_jobs import entry
from spark_jobs.config import Config
from spark_jobs.errors import JobError, JobSkipped
from spark_jobs.ml import registry
from spark_jobs.ml.as_of import compact, iso, parse_as_of
from spark_jobs.ml.events import between, read_events
from spark_jobs.ml.features import WINDOW_DAYS
from spark_jobs.ml.model_store import ModelStore
from spark_jobs.ml.publish import publish, rounded, withdraw, write_parquet
from spark_jobs.ml.snapshot import Snapshot
from spark_jobs.mongo import Document, database
from spark_jobs.session import spark_session

log = logging.getLogger(__name__)

_SETTINGS = {
    # The same splits on any number of cores: sums of doubles depend on them.
    "spark.sql.files.minPartitionNum": "4",
}


# From so many on, a job takes more than a minute or two on two cores; with a million, optimised code saves a third.
_MANY_EVENTS = 300_000

# Artefact of churn: the held-out users of a moment, on whom any churn model can be measured.
HELD_OUT = "churn_held_out"


@dataclass(frozen=True)
class Outcome:
    """What a computation gives back.

    Attributes:
        frames: The documents, by a name for their artefact file; each has `_id` and `as_of`.
        result: Figures for the job's result: a few plain numbers.
        metrics: Further figures, for `model_runs` only.
        parameters: What the computation was told and what it chose.
        model: A fitted pipeline to keep.
        artefacts: Further frames to keep as files, by their names; each has a `user_id`.
    """

    frames: Mapping[str, DataFrame]
    result: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: PipelineModel | None = None
    artefacts: Mapping[str, DataFrame] = field(default_factory=dict)


class TrainingRun:
    """One model as of one moment.

    Args:
        model: Its name.
        as_of: The moment.
        config: Settings.

    Attributes:
        inputs: Names of the artefacts of other jobs that it has read.
    """

    def __init__(self, model: str, as_of: datetime, config: Config) -> None:
        self.model = model
        self.as_of = as_of
        self.config = config
        self.inputs: list[str] = []

    @cached_property
    def snapshot(self) -> Snapshot:
        """The copy of the events.

        Raises:
            JobError: There is none of that moment.
        """
        return Snapshot.open(events_path(self.config, self.as_of))

    @cached_property
    def spark(self) -> SparkSession:
        """The session, started when first needed: a run that is skipped starts none."""
        name = f"shopstream {self.model} {iso(self.as_of)}"
        spark = spark_session(name, self.config, _SETTINGS, long_running=self.snapshot.events >= _MANY_EVENTS)
        spark.sparkContext.setLogLevel("ERROR")
        return spark

    @cached_property
    def events(self) -> DataFrame:
        """The snapshot's events."""
        return read_events(self.spark, self.snapshot.path)

    def recent_events(self) -> DataFrame:
        """The events of the 30 days before `as_of`."""
        return between(self.events, self.as_of - timedelta(days=WINDOW_DAYS), self.as_of)

    def read(self, name: str) -> DataFrame:
        """Read an artefact that another job of the same moment wrote.

        Raises:
            JobError: It is not there.
        """
        path = self.artefact(name)
        if not path.is_file():
            raise JobError(f"no {name} at {path} (run {name} with the same --as-of first)")
        self.inputs.append(name)
        return self.spark.read.parquet(str(path))

    @property
    def history(self) -> timedelta:
        """How long before `as_of` the first known event happened, at most 37 days."""
        return self.as_of - self.snapshot.first_event

    def artefact(self, name: str) -> Path:
        """Return the path of one of the run's Parquet files."""
        return work_folder(self.config, self.as_of) / f"{name}.parquet"

    def require_events(self) -> None:
        """Stop early where the 30 days have no events.

        Raises:
            JobSkipped: The latest known event is older.
        """
        if self.snapshot.last_event < self.as_of - timedelta(days=WINDOW_DAYS):
            raise JobSkipped(
                f"no events in the {WINDOW_DAYS} days before {iso(self.as_of)}: "
                f"the latest one happened at {iso(self.snapshot.last_event)}"
            )

    def require_same_events(self, db: Database[Document]) -> None:
        """Require that what was computed comes from one copy of the events: two runs of a moment share a folder.

        Raises:
            RuntimeError: Another run has copied the events anew meanwhile. A retry computes from the new ones.
        """
        made = {name: registry.recorded_run(db, self.as_of, name) or {} for name in self.inputs}
        copies = {
            Snapshot.open(self.snapshot.path).fingerprint,
            *(one.get("data_fingerprint") for one in made.values()),
        }
        if copies != {self.snapshot.fingerprint}:
            raise RuntimeError(
                f"another run as of {iso(self.as_of)} is at work: it has copied the events anew while {self.model} was "
                "made from the earlier ones"
            )

    def close(self) -> None:
        """Stop the session, if one was started."""
        if "spark" in self.__dict__:
            self.spark.stop()


Compute = Callable[[TrainingRun], Outcome]


def work_folder(config: Config, as_of: datetime) -> Path:
    """Folder of the artefacts of the runs as of one moment."""
    return config.data_dir / "work" / compact(as_of)


def events_path(config: Config, as_of: datetime) -> Path:
    """Path of the events snapshot of one moment."""
    return work_folder(config, as_of) / "events.parquet"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make the command line of a job that works as of one moment."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--as-of", required=True, metavar="TIME", help="look back from here: ISO 8601 with Z or an offset"
    )
    return options


def training_job(model: str, collection: str, description: str | None, compute: Compute) -> int:
    """Run one training job from the command line.

    Args:
        model: Name of the model in `model_runs` and of its artefacts.
        collection: Collection of its documents.
        description: Text of `--help`.
        compute: The computation.

    Returns:
        The exit status.
    """

    def job(args: argparse.Namespace, config: Config) -> dict[str, Any]:
        as_of = parse_as_of(args.as_of)
        db = database(config)
        run = TrainingRun(model, as_of, config)
        try:
            return _execute(run, db, collection, compute)
        except JobSkipped:
            # What an earlier run of the moment has written came of other events: it belongs to no run any more.
            if registry.recorded_run(db, as_of, model):
                log.info("%s documents of an earlier run are withdrawn", f"{withdraw(db, collection, as_of):,}")
                registry.forget_run(db, as_of, model)
            raise
        finally:
            run.close()

    return entry.run(job, parser(description))


def _execute(run: TrainingRun, db: Database[Document], collection: str, compute: Compute) -> dict[str, Any]:
    started = time.monotonic()
    fingerprint = run.snapshot.fingerprint
    outcome = compute(run)
    paths = [run.artefact(name) for name in outcome.frames]
    for path, frame in zip(paths, outcome.frames.values(), strict=True):
        write_parquet(frame, path)
    for name, frame in outcome.artefacts.items():
        write_parquet(frame, run.artefact(name), order="user_id")
    # By now everything has been read.
    run.require_same_events(db)
    if outcome.model:
        artefact = ModelStore.open(run.config).save(outcome.model, run.model, run.as_of)
    else:
        # Relative to the data folder, which is elsewhere in a pod.
        artefact = str(work_folder(run.config, run.as_of).relative_to(run.config.data_dir))
    published = publish(db, collection, run.as_of, paths)
    result = {"documents": published.documents, "removed": published.removed, **rounded(dict(outcome.result))}
    record = {
        "metrics": rounded(dict(outcome.result) | dict(outcome.metrics)),
        "parameters": rounded(dict(outcome.parameters)),
        "artefact_path": artefact,
        "documents": published.documents,
        "data_fingerprint": fingerprint,
        "output_fingerprint": published.fingerprint,
        "duration_seconds": round(time.monotonic() - started, 1),
    }
    registry.record_run(db, run.as_of, run.model, record)
    log.info("%s as of %s: %s", run.model, iso(run.as_of), ", ".join(f"{key} {value}" for key, value in result.items()))
    return {"as_of": iso(run.as_of), **result}
