"""Alerts: the line in the log, and what a real HTTP receiver gets."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.triggers.callback import CallbackTrigger
from webhook_receiver import Receiver, receiving

from shopstream.callbacks import report_failure
from shopstream.quality import QualityFailure

TI = SimpleNamespace(
    dag_id="replay_events",
    task_id="replay_events",
    run_id="manual__1",
    try_number=3,
    map_index=-1,
    log_url="http://127.0.0.1:8080/log",
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", made.url)
        yield made


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


def test_the_webhook_gets_a_failed_check_with_its_expectations(receiver: Receiver) -> None:
    message = "products: 1 critical finding, report: http://a/run\nCRITICAL products: price: 1 of 2 [p1]"
    failure = QualityFailure(message, "products", ["price"], "http://a/run")
    report_failure(
        {"ti": SimpleNamespace(**{**vars(TI), "dag_id": "data_quality", "map_index": 4}), "exception": failure}
    )
    ((path, kind, alert),) = receiver.got
    assert (path, kind) == ("/hooks/t0ken", "application/json")
    assert alert == {
        "event": "task_failed",
        "dag": "data_quality",
        "run": "manual__1",
        "task": "replay_events",
        "map_index": 4,
        "try": 3,
        "collection": "products",
        "expectations": ["price"],
        "reason": "products: 1 critical finding, report: http://a/run",
        "details": message.splitlines(),
        "link": "http://a/run",
        "log": "http://127.0.0.1:8080/log",
    }


def test_any_other_failure_links_to_its_log_and_shows_no_password(receiver: Receiver) -> None:
    report_failure({"ti": TI, "exception": ValueError("no broker at mongodb://u:p@h")})
    ((_, _, alert),) = receiver.got
    assert (alert["collection"], alert["expectations"], alert["link"]) == (None, [], "http://127.0.0.1:8080/log")
    assert alert["details"] == ["no broker at mongodb://***:***@h"]


def test_an_address_that_is_none_is_no_failure_of_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", "http://127.0.0.1:9/hooks/t0ken and a blank")
    report_failure({"ti": TI})
    assert "the alert webhook at 127.0.0.1 did not accept the alert: InvalidURL" in caplog.text
    assert "t0ken" not in caplog.text


def test_a_webhook_that_refuses_hides_nothing_and_its_secret_stays_secret(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    report_failure({"ti": TI})
    assert "no reason was given" in caplog.text
    assert "the alert webhook at 127.0.0.1 did not accept the alert: HTTP Error 500" in caplog.text
    assert "t0ken" not in caplog.text


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file:///etc/passwd", "127.0.0.1:1", "http://"])
def test_an_address_that_is_none_is_said(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", url)
    report_failure({"ti": TI})
    assert "no alert is sent: SHOPSTREAM_ALERT_WEBHOOK is no http:// or https:// address" in caplog.text


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SHOPSTREAM_ALERT_WEBHOOK", "http://127.0.0.1:1/")
    report_failure({"ti": TI})
    assert "did not accept the alert" in caplog.text


def _overdue(state: str) -> list[str]:
    """Run the callback in Airflow's trigger, told what its scheduler tells of a run (`Deadline.handle_miss`)."""
    run = {"dag_id": "data_quality", "dag_run_id": "scheduled__1", "state": state}
    deadline = {"id": "x", "deadline_time": datetime(2026, 1, 1, 10, 30, tzinfo=UTC)}
    kwargs = {"minutes": 30, "context": {"dag_run": run, "deadline": deadline}}
    trigger = CallbackTrigger("shopstream.callbacks.report_overdue", kwargs)

    async def states() -> list[str]:
        return [event.payload["state"] async for event in trigger.run()]

    return asyncio.run(states())


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_in_time_is_not_overdue(state: str, receiver: Receiver) -> None:
    assert _overdue(state) == ["running", "success"]
    assert receiver.got == []


def test_an_overdue_run_is_reported(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    assert _overdue("running") == ["running", "success"]
    ((_, _, alert),) = receiver.got
    assert alert == {
        "event": "run_overdue",
        "dag": "data_quality",
        "run": "scheduled__1",
        "state": "running",
        "deadline": "2026-01-01 10:30:00+00:00",
        "reason": "data_quality has not finished run scheduled__1 within 30 minutes",
    }
    assert alert["reason"] in caplog.text
