"""What the application reads and writes in a checkpoint folder, and what it makes of gaps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spark_jobs.errors import JobError
from spark_jobs.streaming.checkpoint import Checkpoint, Origin, require_same_layout
from spark_jobs.streaming.data_loss import Gap, gaps, require_same_topic
from spark_jobs.streaming.rebuild import is_complete

LAYOUT = {"topic": "customer_events", "state partitions": "2"}
MOMENT = datetime(2019, 10, 1, 12, tzinfo=UTC)


def logged(folder: Path, batch_id: int, watermark_ms: int, offsets: dict[str, int], committed: bool = True) -> None:
    """Write a micro-batch as Spark's offset and commit logs have it."""
    for log in ("offsets", "commits"):
        (folder / log).mkdir(parents=True, exist_ok=True)
    header = json.dumps({"batchWatermarkMs": watermark_ms, "batchTimestampMs": 1, "conf": {}})
    (folder / "offsets" / str(batch_id)).write_text(f"v1\n{header}\n{json.dumps({'customer_events': offsets})}")
    (folder / "offsets" / f".{batch_id}.crc").write_bytes(b"x")
    if committed:
        (folder / "commits" / str(batch_id)).write_text("v1\n{}")


def test_a_new_checkpoint_remembers_what_it_was_made_for(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "stream")
    assert checkpoint.origin() is None
    created = checkpoint.create(LAYOUT, {0: 5}, "id", {0: 9}, MOMENT)
    assert checkpoint.origin() == created == Origin(created.generation, LAYOUT, {0: 5}, "id", {0: 9}, MOMENT)
    checkpoint.rebuilt(created)
    assert checkpoint.origin() == Origin(created.generation, LAYOUT, {0: 5}, "id", None, MOMENT)
    assert Checkpoint(tmp_path / "other").create(LAYOUT, {}, "", None, None).generation != created.generation


def test_a_checkpoint_of_another_application_is_refused(tmp_path: Path) -> None:
    logged(tmp_path, 0, 0, {"0": 1})
    with pytest.raises(JobError, match=r"does not say what state it holds.*rebuild"):
        Checkpoint(tmp_path).origin()


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shopstream.json").write_text("{")
    with pytest.raises(JobError, match="damaged"):
        Checkpoint(tmp_path).origin()


def test_the_position_is_that_of_the_last_committed_batch(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.position() == {}
    for batch_id in (8, 9, 10):
        logged(tmp_path, batch_id, 0, {"0": 10 * batch_id, "1": 7}, committed=batch_id < 10)
    assert checkpoint.position() == {0: 90, 1: 7}


def test_late_is_what_the_watermark_of_the_batch_before_has_passed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    logged(tmp_path, 0, 0, {"0": 1})
    logged(tmp_path, 1, 1_569_931_200_000, {"0": 2}, committed=False)
    assert checkpoint.late_until(0) is None
    assert checkpoint.late_until(1) is None
    assert checkpoint.late_until(2) == MOMENT


def test_a_checkpoint_is_set_aside_and_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "stream"
    logged(folder, 0, 0, {"0": 1})
    aside = Checkpoint(folder).set_aside()
    assert not folder.exists()
    assert (aside / "offsets" / "0").exists()


def test_another_layout_is_refused_by_name() -> None:
    origin = Origin("g", LAYOUT, {})
    require_same_layout(origin, dict(LAYOUT))
    with pytest.raises(JobError, match=r"state partitions changed \(state partitions was 2, is 4\).*rebuild"):
        require_same_layout(origin, {**LAYOUT, "state partitions": "4"})
    with pytest.raises(JobError, match=r"lateness changed .*was absent, is 5 minutes"):
        require_same_layout(origin, {**LAYOUT, "lateness": "5 minutes"})


def test_gaps_are_what_expired_between_position_and_oldest_record() -> None:
    found = gaps({0: 120, 1: 50}, {0: 450, 1: 50, 2: 30})
    assert found == [Gap(0, 120, 450)]
    assert str(found[0]) == "partition 0: offsets 120 to 449 (330 records)"


def test_a_topic_that_ends_before_the_position_is_another_one() -> None:
    require_same_topic({0: 10}, {0: 10, 1: 3}, "t", remade=False)
    with pytest.raises(JobError, match="partition 1 of t ends at offset 3, but the stream has read up to 4"):
        require_same_topic({0: 10, 1: 4}, {0: 10, 1: 3}, "t", remade=False)


def test_a_topic_made_anew_is_another_one_however_long_it_is() -> None:
    with pytest.raises(JobError, match="the topic t was made anew"):
        require_same_topic({0: 10}, {0: 100}, "t", remade=True)


def test_a_rebuild_ends_where_the_topic_ended_when_it_began() -> None:
    origin = Origin("g", LAYOUT, {0: 0, 1: 0}, rebuild_until={0: 5, 1: 7})
    assert not is_complete(origin, {"0": 5, "1": 6})
    assert not is_complete(origin, {"0": 5})
    assert is_complete(origin, {"0": 6, "1": 7})
