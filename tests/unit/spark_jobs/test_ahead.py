"""Items made in a second process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_jobs.ahead import ahead_elsewhere
from spark_jobs.errors import JobError


def counting(count: int, touched: Path) -> Iterator[tuple[int, int]]:
    for number in range(count):
        touched.write_text(str(number))
        yield number, os.getpid()


def failing() -> Iterator[int]:
    yield 1
    raise JobError("no MongoDB server answers")


def killed() -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def large(count: int, touched: Path) -> Iterator[bytes]:
    for number in range(count):
        touched.write_text(str(number))
        yield bytes(1_000_000)


def test_items_come_in_order_from_another_process(tmp_path: Path) -> None:
    items = list(ahead_elsewhere(counting, 5, tmp_path / "at"))
    assert [number for number, _ in items] == [0, 1, 2, 3, 4]
    assert {pid for _, pid in items} != {os.getpid()}


def test_the_first_item_is_made_before_it_is_asked_for(tmp_path: Path) -> None:
    items = ahead_elsewhere(counting, 1, tmp_path / "at")
    deadline = time.monotonic() + 60
    while not (tmp_path / "at").exists():
        assert time.monotonic() < deadline, "nothing was made"
        time.sleep(0.05)
    assert len(list(items)) == 1


def test_what_fails_there_is_raised_here() -> None:
    items = ahead_elsewhere(failing)
    assert next(items) == 1
    with pytest.raises(JobError, match="no MongoDB server answers"):
        next(items)


def test_a_process_that_is_killed_is_said() -> None:
    items = ahead_elsewhere(killed)
    with pytest.raises(RuntimeError, match="ended with status -9"):
        list(items)


def test_who_wants_no_more_leaves_no_process_behind(tmp_path: Path) -> None:
    items = ahead_elsewhere(large, 100, tmp_path / "at")
    next(items)
    assert multiprocessing.active_children()
    items.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
    assert int((tmp_path / "at").read_text()) < 5
