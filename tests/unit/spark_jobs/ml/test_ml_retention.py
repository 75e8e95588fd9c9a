import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spark_jobs.jobs import retention as job_module
from spark_jobs.ml import retention
from spark_jobs.ml.as_of import compact, iso
from spark_jobs.ml.retention import to_drop

NEWEST = datetime(2019, 11, 1, 12, tzinfo=UTC)


def moments(days: int) -> list[datetime]:
    """Every six hours of the days up to the newest moment."""
    return [NEWEST - timedelta(hours=6 * number) for number in range(4 * days)]


def test_older_moments_go_but_for_the_midnights() -> None:
    dropped = to_drop(moments(40), 30, [])
    # Of 39 older ones 10 are midnights, and one is the only one of its day.
    assert len(dropped) == 28
    assert max(dropped) == NEWEST - timedelta(days=30, hours=6)
    assert all(moment.hour for moment in dropped)


def test_days_without_midnight_keep_their_first_moment() -> None:
    odd = [datetime(2019, 9, 1, hour, 30, tzinfo=UTC) for hour in (17, 9, 20)]
    assert to_drop([*odd, NEWEST], 30, []) == [odd[0], odd[2]]


def test_what_is_to_be_kept_is_kept() -> None:
    promoted = NEWEST - timedelta(days=35, hours=6)
    assert promoted in to_drop(moments(40), 30, [])
    assert promoted not in to_drop(moments(40), 30, [promoted])


def test_nothing_to_drop() -> None:
    assert to_drop([], 30, []) == []
    assert to_drop(moments(30), 30, []) == []


class FakeCollection(dict[str, dict[str, Any]]):
    """The operations that retention needs, with the semantics of `_id` ranges."""

    def find_one(self, query: dict[str, Any]) -> dict[str, Any] | None:
        return self.get(query["_id"])

    def find(self, query: dict[str, Any], _fields: dict[str, int]) -> list[dict[str, Any]]:
        records = [one for one in self.values() if one["kind"] == query["kind"]]
        if "dropped_at" in query:
            return [one for one in records if "dropped_at" not in one]
        return [one for one in records if one["finished_at"] >= query["finished_at"]["$gte"]]

    def _range(self, query: dict[str, Any]) -> list[str]:
        return [key for key in self if query["_id"]["$gte"] <= key < query["_id"]["$lt"]]

    def delete_many(self, query: dict[str, Any]) -> SimpleNamespace:
        keys = self._range(query)
        for key in keys:
            del self[key]
        return SimpleNamespace(deleted_count=len(keys))

    def update_many(self, query: dict[str, Any], change: dict[str, Any]) -> None:
        for key in self._range(query):
            self[key] |= change["$set"]


OLD, PROMOTED, FRESH = (NEWEST - timedelta(days=days, hours=6) for days in (40, 38, 36))


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeCollection]:
    """A snapshot each of an old, a promoted, a lately backfilled and the newest moment, and of their midnights."""
    found = {name: FakeCollection() for name in (*retention.COLLECTIONS, "model_runs")}
    long_ago, now = datetime(2019, 11, 2, tzinfo=UTC), datetime.now(UTC)
    for moment in (OLD, PROMOTED, FRESH, NEWEST):
        for one in (moment, moment.replace(hour=0)):
            for user in ("1", "zz"):
                found["customer_segments"][f"{iso(one)}|{user}"] = {}
            written = now if moment == FRESH else long_ago
            found["model_runs"][f"{iso(one)}|segments"] = {"kind": "run", "as_of": one, "finished_at": written}
    found["model_runs"]["latest"] = {"kind": "latest", "as_of": PROMOTED}
    monkeypatch.setattr(job_module, "database", lambda _config: found)
    return found


def make_folder(data_dir: Path, moment: datetime, age: timedelta) -> None:
    for folder in (data_dir / "work" / compact(moment), data_dir / "models" / "churn" / compact(moment)):
        folder.mkdir(parents=True)
        (folder / "events.parquet").write_text("x")
        for path in (folder / "events.parquet", folder):
            os.utime(path, (time.time() - age.total_seconds(),) * 2)


def test_the_job_drops_documents_and_files_of_old_moments_only(db: dict[str, FakeCollection], tmp_path: Path) -> None:
    for moment in (OLD, PROMOTED, NEWEST):
        make_folder(tmp_path, moment, timedelta(days=3))
    (tmp_path / "work" / "other").mkdir()
    config: Any = SimpleNamespace(data_dir=tmp_path, snapshot_days=30, models_uri="")
    result = job_module.job(SimpleNamespace(), config)  # type: ignore[arg-type]
    assert result == {"kept": 7, "dropped": 1, "documents": 2, "event_copies": 2}
    kept = {key.partition("|")[0] for key in db["customer_segments"]}
    assert kept == {iso(one) for one in (PROMOTED, FRESH, NEWEST)} | {
        iso(one.replace(hour=0)) for one in (OLD, PROMOTED, FRESH, NEWEST)
    }
    assert "dropped_at" in db["model_runs"][f"{iso(OLD)}|segments"]
    assert sum("dropped_at" in one for one in db["model_runs"].values()) == 1
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*Z*"))
    assert left == sorted(f"work/{compact(moment)}" for moment in (PROMOTED, NEWEST))
    assert {path.name for path in (tmp_path / "models" / "churn").iterdir()} == {compact(PROMOTED), compact(NEWEST)}
    assert not list(tmp_path.glob("work/*/events.parquet"))
    assert (tmp_path / "work" / "other").is_dir()
    again = job_module.job(SimpleNamespace(), config)  # type: ignore[arg-type]
    assert again == {"kept": 7, "dropped": 0, "documents": 0, "event_copies": 0}


def test_a_moment_that_was_trained_again_is_dropped_again(db: dict[str, FakeCollection], tmp_path: Path) -> None:
    config: Any = SimpleNamespace(data_dir=tmp_path, snapshot_days=30, models_uri="")
    record, documents = db["model_runs"][f"{iso(OLD)}|segments"].copy(), db["customer_segments"].copy()
    job_module.job(SimpleNamespace(), config)  # type: ignore[arg-type]
    db["model_runs"][f"{iso(OLD)}|segments"] = record
    db["customer_segments"].update(documents)
    assert job_module.job(SimpleNamespace(), config)["documents"] == 2  # type: ignore[arg-type]


def test_what_killed_jobs_left_goes_after_a_while(tmp_path: Path) -> None:
    for name in ("work/.partial-a", "work/20191101T000000Z/.partial-b", ".model-c", ".model-fresh", "work/other"):
        (tmp_path / name / "x").mkdir(parents=True)
        age = 0 if name == ".model-fresh" else 3 * 86_400
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    assert retention.drop_leftovers(tmp_path, datetime.now(UTC) - retention.GRACE) == 3
    left = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.glob("**/x"))]
    assert left == [".model-fresh/x", "work/other/x"]


def test_a_run_at_work_is_left_alone(db: dict[str, FakeCollection], tmp_path: Path) -> None:
    make_folder(tmp_path, OLD, timedelta(hours=1))
    config: Any = SimpleNamespace(data_dir=tmp_path, snapshot_days=30, models_uri="")
    assert job_module.job(SimpleNamespace(), config)["dropped"] == 0  # type: ignore[arg-type]
    assert (tmp_path / "work" / compact(OLD) / "events.parquet").exists()
