import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from spark_jobs.errors import JobError, JobSkipped
from spark_jobs.jobs import extract_events
from spark_jobs.ml.snapshot import HISTORY, Snapshot, extract, slices

Event = dict[str, Any]
MakeEvent = Callable[..., Event]


def finder(events: list[Event]) -> Callable[[datetime, datetime], list[Event]]:
    return lambda start, end: [event for event in events if start <= event["event_timestamp"] < end]


def test_snapshot_holds_the_37_days_before_as_of(event: MakeEvent, as_of: datetime, tmp_path: Path) -> None:
    events = [event(0), event(1 / 86_400, user_id=8), event(36), event(37), event(37.001)]
    snapshot = extract(finder(events), as_of, tmp_path / "work" / "events.parquet")
    assert (snapshot.events, snapshot.users) == (3, 2)
    assert (snapshot.first_event, snapshot.last_event) == (as_of - HISTORY, as_of - timedelta(seconds=1))
    assert Snapshot.open(snapshot.path) == snapshot
    assert pq.read_table(snapshot.path).to_pylist() == [events[3], events[2], events[1]]


def test_order_of_storage_changes_nothing(event: MakeEvent, as_of: datetime, tmp_path: Path) -> None:
    events = [event(number % 5) for number in range(40)]
    shuffled = random.Random(1).sample(events, len(events))
    first, second = (
        extract(finder(source), as_of, tmp_path / name) for name, source in [("a", events), ("b", shuffled)]
    )
    assert first.fingerprint == second.fingerprint
    assert first.path.read_bytes() == second.path.read_bytes()


@pytest.mark.parametrize("change", [{"price": 10.01}, {"brand": None}, {"_id": "other"}, {"user_session": "s2"}])
def test_any_changed_field_changes_the_fingerprint(
    event: MakeEvent, as_of: datetime, tmp_path: Path, change: Event
) -> None:
    original = event(2)
    before = extract(finder([event(1), original]), as_of, tmp_path / "events").fingerprint
    assert extract(finder([event(1), original | change]), as_of, tmp_path / "events").fingerprint != before


def test_without_events_it_is_skipped_and_an_earlier_snapshot_stays(
    event: MakeEvent, as_of: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "moment" / "events.parquet"
    earlier = extract(finder([event(1)]), as_of, path)
    with pytest.raises(JobSkipped, match=r"no events before 2019-11-01T00:00:00Z in enriched_events"):
        extract(finder([event(38), event(-1)]), as_of, path)
    assert Snapshot.open(path) == earlier
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


def test_a_moment_without_events_leaves_no_folder_that_retention_would_count(as_of: datetime, tmp_path: Path) -> None:
    with pytest.raises(JobSkipped):
        extract(finder([]), as_of, tmp_path / "moment" / "events.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_moment_to_come_is_refused(tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(JobError, match="is in the future"):
        extract_events.job(SimpleNamespace(as_of=later.isoformat()), SimpleNamespace(data_dir=tmp_path))  # type: ignore[arg-type]


def test_a_failure_leaves_nothing_half_written(as_of: datetime, tmp_path: Path) -> None:
    def fail(_start: datetime, _end: datetime) -> list[Event]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        extract(fail, as_of, tmp_path / "moment" / "events.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_snapshot_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="run extract_events"):
        Snapshot.open(tmp_path / "events.parquet")


def test_slices_adapt_to_the_density_and_cover_everything_once(event: MakeEvent, as_of: datetime) -> None:
    spans: list[tuple[datetime, datetime]] = []

    def find(start: datetime, end: datetime) -> list[Event]:
        spans.append((start, end))
        busy = as_of - timedelta(days=10) <= start < as_of - timedelta(days=9)
        return [event(1)] * (int((end - start).total_seconds() * 10) if busy else 0)

    read = [len(piece) for piece in slices(find, as_of - HISTORY, as_of)]
    assert spans[0][0] == as_of - HISTORY
    assert spans[-1][1] == as_of
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert max(end - start for start, end in spans) == timedelta(hours=3)
    # The first slice of a rush can be as wide as a quiet one; from then on they have about 20,000 events.
    assert sorted(read)[-2] <= 40_000
