"""What a replay remembers, and dead letters that Kafka would not take, on a real document store and broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.servers import Servers
from spark_jobs.errors import JobSkipped
from spark_jobs.events.record import LARGEST
from spark_jobs.events.replay import PROGRESS_COLLECTION, Progress
from spark_jobs.events.source import COLUMNS
from spark_jobs.jobs import replay_events

WHEN = datetime(2019, 10, 1, tzinfo=UTC)
ROW = "2019-10-01 00:00:01 UTC,view,1,2,computers.notebook,lenovo,251.74,5,session"


@pytest.fixture(scope="module", autouse=True)
def topic(running: Servers) -> None:
    running.create_topic("replayed")


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


def dead_letter(number: int, raw: str, reason: str = "not_json_object", **fields: str) -> dict[str, Any]:
    return {
        "_id": f"replayed-0-{number}",
        "raw": raw,
        "reasons": [reason],
        "kafka_timestamp": WHEN + timedelta(seconds=number),
        "kafka_partition": 0,
        "kafka_offset": number,
        **fields,
    }


def test_a_dead_letter_that_kafka_would_not_take_holds_up_no_other(running: Servers) -> None:
    raws = ["{}", "x" * (LARGEST + 1), "no json"]
    running.db["dead_letter_events"].insert_many([dead_letter(number, raw) for number, raw in enumerate(raws)])
    assert run(running, "--dead-letters")["resubmitted"] == 2
    still_open = running.db["dead_letter_events"].find({"resubmitted_at": None})
    assert [one["_id"] for one in still_open] == ["replayed-0-1"]
    running.db["dead_letter_events"].delete_one({"_id": "replayed-0-1"})
    with pytest.raises(JobSkipped):
        run(running, "--dead-letters")


def test_a_dead_letter_whose_bytes_are_not_known_any_more_is_sent_only_corrected(
    running: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    letters = running.db["dead_letter_events"]
    letters.delete_many({})
    letters.insert_many(
        [
            dead_letter(10, '{"brand": "caf\ufffd"}'),
            dead_letter(11, '{"brand": "caf\ufffd"}', corrected='{"brand": "caf\u00e9"}'),
            dead_letter(12, '{"brand": "caf\ufffd"}', reason="bad_price"),  # as it was sent
            dead_letter(13, '{"brand": "caf'),
        ]
    )
    result = run(running, "--dead-letters", "--limit=3")
    assert (result["resubmitted"], result["corrected"], result["damaged"]) == (3, 1, 1)
    assert "1 left out whose bytes were no UTF-8" in caplog.text
    assert [one["_id"] for one in letters.find({"resubmitted_at": None})] == ["replayed-0-10"]
    with pytest.raises(JobSkipped, match="1 left out whose bytes were no UTF-8"):
        run(running, "--dead-letters")
    letters.update_one({"_id": "replayed-0-10"}, {"$set": {"corrected": '{"brand": "caf\u00e9"}'}})
    assert run(running, "--dead-letters")["resubmitted"] == 1
