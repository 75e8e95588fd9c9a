"""A file of events through every DAG, by Airflow's REST API, and every collection against a batch recomputation."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_jobs.audit.validate import read_record, validate
from spark_jobs.ml.retention import COLLECTIONS
from tests.oracle import assert_streaming_collections, records
from tests.stack import RunningStack

AS_OF = "2019-10-31T00:00:00Z"


def replay(stack: RunningStack, path: Path) -> None:
    stack.run_dag("replay_events", {"file": str(path)})
    drained = stack.job("await_stream", "--timeout", "600")
    assert drained.returncode == 0, drained.stdout + drained.stderr


@pytest.fixture(scope="module")
def replayed(stack: RunningStack, month: Path) -> Path:
    stack.run_dag("seed_dimensions", {"file": str(month)})
    stack.run_dag("streaming_lifecycle", {"action": "ensure"})
    replay(stack, month)
    return month


def test_streaming_collections_equal_the_recomputation(stack: RunningStack, replayed: Path) -> None:
    assert_streaming_collections(stack, records(replayed))


def test_malformed_records_are_dead_letters_with_every_reason(stack: RunningStack, replayed: Path) -> None:
    expected = sorted(
        (value.decode(), sorted(reasons)) for value in records(replayed) if (reasons := validate(read_record(value)))
    )
    stored = sorted((one["raw"], sorted(one["reasons"])) for one in stack.db["dead_letter_events"].find())
    assert len(expected) > 50
    assert stored == expected


def test_no_record_is_unaccounted_for(stack: RunningStack, replayed: Path) -> None:
    driver = stack.db["stream_health"].find_one({"_id": "driver"}) or {}
    assert driver["accepted"] + driver["dead_lettered"] == sum(driver["end_offsets"].values()) == len(records(replayed))
    assert driver["late_events"] == 0


def test_replaying_the_file_again_changes_nothing(stack: RunningStack, replayed: Path) -> None:
    replay(stack, replayed)
    assert_streaming_collections(stack, records(replayed))
    driver = stack.db["stream_health"].find_one({"_id": "driver"}) or {}
    assert sum(driver["end_offsets"].values()) == 2 * len(records(replayed))
    # Of a file's second replay everything was seen before, or is older than what has been seen.
    assert driver["duplicates"] > 0
    assert driver["duplicates"] + driver["late_events"] == driver["accepted"] / 2


def test_training_writes_the_same_documents_twice(stack: RunningStack, replayed: Path) -> None:
    written = []
    for _ in range(2):
        run_id = stack.run_dag("train_models", {"as_of": AS_OF})
        states = stack.api.task_states("train_models", run_id)
        assert {states.pop(task) for task in ("approve", "promote_by_hand")} == {"skipped"}
        assert set(states.values()) == {"success"}, states
        written.append({name: list(stack.db[name].find().sort("_id")) for name in COLLECTIONS})
    assert all(written[0].values()), {name: len(documents) for name, documents in written[0].items()}
    assert written[0] == written[1]


def test_quality_of_what_was_written_is_good(stack: RunningStack, replayed: Path) -> None:
    run_id = stack.run_dag("data_quality")
    results = list(stack.db["data_quality_results"].find({"status": {"$in": ["failed", "error"]}}))
    assert not results, [(one["collection"], one["status"]) for one in results]
    assert stack.api.task_states("data_quality", run_id)
