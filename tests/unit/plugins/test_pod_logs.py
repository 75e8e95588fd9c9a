import logging
from datetime import UTC, datetime

import pytest

from shopstream.joblog import JobLog
from shopstream.pods.logs import new_lines, seconds_since, show

LINES = [
    "2026-01-31T12:00:00.000000001Z 2026-01-31 12:00:00,000 WARNING job: careful",
    "2026-01-31T12:00:00.000000002Z uri mongodb://user:word@host/db",
    "2026-01-31T12:00:01.500000000Z error: no column price",
    "2026-01-31T12:00:01.500000001Z ",
]


def test_each_line_comes_once_however_often_it_is_read() -> None:
    taken: list[tuple[str, str]] = []
    for end in (1, 2, 2, 4):
        taken += new_lines(LINES[:end], taken[-1][0] if taken else None)
    assert [text for _, text in taken] == [line.partition(" ")[2] for line in LINES]


def test_what_is_no_line_of_the_log_is_left_out() -> None:
    refused = ['{"kind":"Status","message":"container is waiting to start"}', "", "unable to retrieve container logs"]
    assert list(new_lines(refused, None)) == []


def test_lines_look_as_those_of_the_local_runtime(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="shopstream.job"):
        assert show(LINES, None, JobLog()) == "2026-01-31T12:00:01.500000001Z"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "job: careful"),
        ("INFO", "uri mongodb://***:***@host/db"),
        ("ERROR", "error: no column price"),
        ("INFO", ""),
    ]


def test_nothing_new_keeps_the_place() -> None:
    assert show([], "2026-01-31T12:00:00.000000001Z", JobLog()) == "2026-01-31T12:00:00.000000001Z"


def test_how_far_back_to_ask() -> None:
    now = datetime(2026, 1, 31, 12, 0, 10, 500_000, tzinfo=UTC)
    assert seconds_since(None, now) is None
    assert seconds_since("2026-01-31T12:00:01.900000000Z", now) == 11
    assert seconds_since("2026-01-31T12:01:00.000000000Z", now) == 1
    assert seconds_since("2026-01-31T14:00:01.900000000+02:00", now) == 11
