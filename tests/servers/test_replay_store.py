"""What a replay remembers, and dead letters that Kafka would not take, on a real document store and broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.servers import Servers, servers
from benchmarks.store import AUTO
from spark_jobs.errors import JobSkipped
from spark_jobs.events.record import LARGEST
from spark_jobs.events.replay import PROGRESS_COLLECTION, Progress
from spark_jobs.events.source import COLUMNS
from spark_jobs.jobs import replay_events

WHEN = datetime(2019, 10, 1, tzinfo=UTC)
ROW = "2019-10-01 00:00:01 UTC,view,1,2,computers.notebook,lenovo,251.74,5,session"


@pytest.fixture(scope="module")
def running() -> Iterator[Servers]:
    with servers(AUTO) as made:
        made.create_topic("replayed")
        yield made


def run(running: Servers, *arguments: str) -> dict[str, Any]:
    return replay_events.main(replay_events.parser().parse_args(arguments), running.config("replay", "replayed"))


def test_a_name_that_was_used_for_another_file_skips_nothing(running: Servers, tmp_path: Path) -> None:
    for name, rows in (("october.csv", 5), ("november.csv", 3)):
        (tmp_path / name).write_text("\n".join([",".join(COLUMNS), *[ROW] * rows, ""]))
    assert run(running, f"--file={tmp_path / 'october.csv'}", "--run-id=load")["sent"] == 5
    assert run(running, f"--file={tmp_path / 'october.csv'}", "--run-id=load")["sent"] == 0
    assert run(running, f"--file={tmp_path / 'november.csv'}", "--run-id=load")["sent"] == 3


def test_a_shift_is_kept_before_anything_is_sent(
    running: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e.csv").write_text("\n".join([",".join(COLUMNS), ROW, ""]))

    def broken(*_: Any) -> int:
        raise RuntimeError("killed before Kafka has acknowledged anything")

    options = (f"--file={tmp_path / 'e.csv'}", "--run-id=shifted", "--shift-to-now")
    with monkeypatch.context() as patched:
        patched.setattr(replay_events, "send", broken)
        with pytest.raises(RuntimeError, match="killed"):
            run(running, *options)
    stored = (running.db[PROGRESS_COLLECTION].find_one({"_id": "shifted"}) or {})["shift_seconds"]
    assert run(running, *options)["shift_seconds"] == stored
    assert Progress.load(running.db, "shifted", "another file").shift_seconds is None


def test_a_dead_letter_that_kafka_would_not_take_holds_up_no_other(running: Servers) -> None:
    raws = ["{}", "x" * (LARGEST + 1), "no json"]
    letters = [
        {
            "_id": f"replayed-0-{number}",
            "raw": raw,
            "reasons": ["not_json"],
            "kafka_timestamp": WHEN + timedelta(seconds=number),
            "kafka_partition": 0,
            "kafka_offset": number,
            "kafka_key": None,
        }
        for number, raw in enumerate(raws)
    ]
    running.db["dead_letter_events"].insert_many(letters)
    assert run(running, "--dead-letters")["resubmitted"] == 2
    still_open = running.db["dead_letter_events"].find({"resubmitted_at": None})
    assert [one["_id"] for one in still_open] == ["replayed-0-1"]
    running.db["dead_letter_events"].delete_one({"_id": "replayed-0-1"})
    with pytest.raises(JobSkipped):
        run(running, "--dead-letters")
