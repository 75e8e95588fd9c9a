"""Two training runs of one moment: what is made of one's events is not recorded with the other's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.servers import Servers
from spark_jobs.ml import registry
from spark_jobs.ml.run import TrainingRun
from spark_jobs.ml.snapshot import extract

AS_OF = datetime(2019, 10, 5, tzinfo=UTC)


def copy_events(run: TrainingRun, count: int) -> None:
    def find(start: datetime, end: datetime) -> list[dict[str, Any]]:
        times = {n: AS_OF - timedelta(hours=n + 1) for n in range(count)}
        return [{"_id": f"e{n}", "event_timestamp": at, "user_id": n} for n, at in times.items() if start <= at < end]

    extract(find, run.as_of, run.artefact("events"))


def test_events_that_another_run_copies_meanwhile_are_noticed(running: Servers, tmp_path: Path) -> None:
    config = replace(running.config("training"), data_dir=tmp_path)
    run = TrainingRun("segments", AS_OF, config)
    copy_events(run, 3)
    registry.record_run(running.db, AS_OF, "features", {"data_fingerprint": run.snapshot.fingerprint})
    run.inputs.append("features")
    run.require_same_events(running.db)
    copy_events(run, 4)
    with pytest.raises(RuntimeError, match="another run as of 2019-10-05T00:00:00Z is at work"):
        run.require_same_events(running.db)
    # The retry has the new events; the features are still those of the earlier ones.
    again = TrainingRun("segments", AS_OF, config)
    again.inputs.append("features")
    with pytest.raises(RuntimeError, match="another run"):
        again.require_same_events(running.db)
    registry.record_run(running.db, AS_OF, "features", {"data_fingerprint": again.snapshot.fingerprint})
    again.require_same_events(running.db)
