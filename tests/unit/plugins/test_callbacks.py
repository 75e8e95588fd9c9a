import logging
from types import SimpleNamespace

import pytest

from shopstream.callbacks import report_failure

TI = SimpleNamespace(
    dag_id="replay_events",
    task_id="replay_events",
    run_id="manual__1",
    try_number=3,
    log_url="http://127.0.0.1:8080/log",
)


def test_a_failure_is_one_line_with_reason_and_link(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        report_failure({"ti": TI, "exception": ValueError("no broker at mongodb://u:p@h\nand much more")})
    assert caplog.messages == [
        "replay_events.replay_events failed in run manual__1, try 3: no broker at mongodb://***:***@h"
        " (log: http://127.0.0.1:8080/log)"
    ]


def test_a_failure_without_exception_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    report_failure({"ti": TI})
    assert "no reason was given" in caplog.text
