import logging

import pytest

from shopstream.joblog import JobLog, redact


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("2025-01-31 12:00:00,123 INFO replay: 5000 sent", logging.INFO, "replay: 5000 sent"),
        ("25/01/31 12:00:00 WARN Utils: hostname", logging.WARNING, "Utils: hostname"),
        ("2025-01-31T12:00:00.123Z ERROR x", logging.ERROR, "x"),
        ("plain words", logging.INFO, "plain words"),
        ("error: no such file", logging.ERROR, "error: no such file"),
        ("skipped: nothing to do", logging.WARNING, "skipped: nothing to do"),
        ("12 ERROR lines were found", logging.INFO, "12 ERROR lines were found"),
    ],
)
def test_levels(line: str, level: int, text: str) -> None:
    assert JobLog().read(line + "\n") == (level, text)


def test_a_traceback_has_one_level() -> None:
    log = JobLog()
    lines = [
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "    run()",
        "py4j.protocol.Py4JJavaError: An error occurred",
        "\tat org.apache.spark.X",
        "Caused by: java.lang.Error",
        "after it",
    ]
    assert [log.read(line)[0] for line in lines] == [logging.ERROR] * 6 + [logging.INFO]


def test_an_exception_is_the_reason_where_no_line_states_one() -> None:
    log = JobLog()
    for line in ("Traceback (most recent call last):", "ValueError: no such column", "== DataFrame ==", "at x"):
        log.read(line)
    assert log.error == "ValueError: no such column"
    log.read("error: the file lacks a column")
    assert log.error == "the file lacks a column"


def test_the_reason_is_remembered_and_the_tail_bounded() -> None:
    log = JobLog(keep=2)
    for line in ("one", "two", "skipped: too early", "prog: error: bad option"):
        log.read(line)
    assert log.error == "bad option"
    assert log.skipped == "too early"
    assert list(log.tail) == ["skipped: too early", "prog: error: bad option"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mongodb://shop:s3cret@127.0.0.1/db", "mongodb://***:***@127.0.0.1/db"),
        ("mongodb://shop:p%40ss@h1,h2/db and more", "mongodb://***:***@h1,h2/db and more"),
        ("https://example.org/a:b@c", "https://example.org/a:b@c"),
    ],
)
def test_credentials_are_blanked_out(text: str, clean: str) -> None:
    assert redact(text) == clean
    assert JobLog().read(text)[1] == clean
