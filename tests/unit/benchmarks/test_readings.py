"""What the measurements read: checkpoints, logs, process tables, and the archive of the document store."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.drain import Query
from benchmarks.laps import seconds_by_step
from benchmarks.processes import Usage, cpu_by_process, cpu_seconds, usage
from benchmarks.samples import heap_after_collection, sample
from benchmarks.store import fast_server
from embedded.errors import StackError


def note(checkpoint: Path, batch: int, began: float, offsets: dict[str, int]) -> None:
    """Write what a query notes before a micro-batch."""
    (checkpoint / "offsets").mkdir(parents=True, exist_ok=True)
    metadata = json.dumps({"batchWatermarkMs": 0, "batchTimestampMs": int(1000 * began), "conf": {}})
    (checkpoint / "offsets" / str(batch)).write_text(f"v1\n{metadata}\n{json.dumps({'topic': offsets})}")


def commit(checkpoint: Path, batch: int, ended: float) -> None:
    """Write what a query notes after a micro-batch."""
    (checkpoint / "commits").mkdir(parents=True, exist_ok=True)
    path = checkpoint / "commits" / str(batch)
    path.write_text('v1\n{"nextBatchWatermarkMs":0}')
    os.utime(path, (ended, ended))


def test_time_runs_from_the_first_batch_with_records_to_the_end_of_the_last(tmp_path: Path) -> None:
    query = Query(tmp_path)
    query.look()
    assert (query.records, query.started, query.committed) == (0, None, None)
    note(tmp_path, 0, 100.0, {"0": 0, "1": 0})
    commit(tmp_path, 0, 101.0)
    note(tmp_path, 1, 102.5, {"0": 30, "1": 20})
    query.look()
    assert (query.records, query.started) == (0, None)
    commit(tmp_path, 1, 104.0)
    note(tmp_path, 2, 104.5, {"0": 60, "1": 40})
    commit(tmp_path, 2, 106.0)
    # A batch without records, which only moves the watermark, belongs to no drain.
    note(tmp_path, 3, 106.5, {"0": 60, "1": 40})
    commit(tmp_path, 3, 109.0)
    query.look()
    assert (query.records, query.started, query.committed) == (100, 102.5, 106.0)


def test_notes_that_a_query_deletes_are_remembered(tmp_path: Path) -> None:
    query = Query(tmp_path)
    note(tmp_path, 0, 10.0, {"0": 5})
    query.look()
    assert query.running
    commit(tmp_path, 0, 12.0)
    query.look()
    (tmp_path / "offsets" / "0").unlink()
    (tmp_path / "commits" / "0").unlink()
    note(tmp_path, 1, 13.0, {"0": 9})
    commit(tmp_path, 1, 15.0)
    query.look()
    assert (query.records, query.started, query.committed) == (9, 10.0, 15.0)


def test_a_note_being_written_is_read_later(tmp_path: Path) -> None:
    query = Query(tmp_path)
    note(tmp_path, 0, 10.0, {"0": 5})
    whole = (tmp_path / "offsets" / "0").read_text()
    (tmp_path / "offsets" / "0").write_text("v1\n")
    query.look()
    assert not query.running
    (tmp_path / "offsets" / "0").write_text(whole)
    commit(tmp_path, 0, 11.0)
    query.look()
    assert query.records == 5


def test_laps_are_summed_by_step() -> None:
    lines = [
        "2026-01-01 INFO spark_jobs.streaming.sink: batch 0: 990 accepted, 10 dead-lettered in 5.5 s "
        "(compute 3.0, events 2.0, dead letters 0.5); 7 sessions are open",
        "anything else (compute 100.0)",
        "batch 1: 5 accepted, 0 dead-lettered in 1.5 s (compute 1.0, events 0.5); 7 sessions are open",
    ]
    assert seconds_by_step(lines) == {"compute": 4.0, "events": 2.5, "dead letters": 0.5}
    assert seconds_by_step(["no batch"]) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:09", 9), ("01:02:03", 3723), ("2-00:00:01", 172_801), ("12:34", 754), ("0:01.50", 1.5)],
)
def test_cpu_times_of_every_ps(text: str, seconds: float) -> None:
    assert cpu_seconds(text) == seconds


def test_usage_of_this_process() -> None:
    used = usage(os.getpid())
    assert 5 < used.resident_mb["python"] < 5000
    assert usage(2**22 + 1) == Usage({}, {})


def test_cpu_of_this_process_and_its_child() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        used = cpu_by_process(os.getpid())
        child.kill()
    assert {os.getpid(), child.pid} <= used.keys()
    assert used[child.pid] == 0


GC_LOG = """\
[1.0s][info][gc] GC(0) Pause Young (Allocation Failure) 63M->7M(247M) 10.1ms
[2.0s][info][gc] GC(1) Pause Full (Metadata GC Threshold) 70M->30M(247M) 60.1ms
[9.0s][info][gc] GC(2) Pause Young (Allocation Failure) 500M->400M(989M) 10.1ms
[9.5s][info][gc] GC(3) Pause Full (Allocation Failure) 800M->231M(989M) 300.1ms
[9.9s][info][gc] GC(4) Pause Young (Allocation Failure) 500M->400M(989M) 10.1ms
"""


def test_heap_is_what_the_latest_full_collection_left() -> None:
    assert heap_after_collection(GC_LOG) == 231
    assert heap_after_collection(GC_LOG.splitlines()[0]) is None


def test_a_sample_says_nothing_where_the_driver_does_not(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "1").write_bytes(b"x" * 2_000_000)
    used = Usage({"java": 900.0, "python": 170.0}, {})
    first = sample(0.0, None, {}, used, None, tmp_path)
    assert first.cells() == ["0", "0", "0", "170", "900", "", "", "", "", "2"]
    driver = {"accepted": 990, "dead_lettered": 10, "state_bytes": 7_000_000, "state_file_bytes": 5_000_000}
    driver["open_sessions"] = 3
    assert sample(10.0, first, driver, used, 231.0, tmp_path).cells() == [
        *["10", "1000", "100", "170", "900", "231", "7", "5", "3", "2"]
    ]


def test_the_document_store_is_unpacked_once(tmp_path: Path) -> None:
    archive = tmp_path / "server.xz"
    archive.write_bytes(lzma.compress(b"#!/bin/sh\necho hello\n"))
    binary = fast_server(tmp_path / "cache", archive)
    assert os.access(binary, os.X_OK)
    assert binary.read_bytes() == b"#!/bin/sh\necho hello\n"
    before = binary.stat().st_mtime_ns
    assert fast_server(tmp_path / "cache", archive) == binary
    assert binary.stat().st_mtime_ns == before
    archive.write_bytes(lzma.compress(b"another"))
    assert fast_server(tmp_path / "cache", archive) != binary


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "server.xz"
    archive.write_bytes(b"no archive")
    with pytest.raises(StackError, match=r"server\.xz cannot be unpacked: .*use --store py"):
        fast_server(tmp_path / "cache", archive)
    assert not list((tmp_path / "cache").glob("secantusd-rs-????????????"))
