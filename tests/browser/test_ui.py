"""What a person does: log in, look around, trigger every DAG by its form, read a task's log."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import PATIENCE_MS, screenshot, trigger
from tests.stack import RunningStack

DAGS = ["seed_dimensions", "streaming_lifecycle", "replay_events", "data_quality", "train_models"]


def test_all_dags_are_listed(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/dags")
    for dag_id in DAGS:
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "dags")


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_dag_can_be_triggered_from_its_form(page: Page, stack: RunningStack, month: Path, dag_id: str) -> None:
    fields = {"file": str(month)} if dag_id in ("seed_dimensions", "replay_events") else {}
    run_id = trigger(page, stack, dag_id, fields | ({"limit": "500"} if dag_id == "replay_events" else {}))
    assert stack.api.wait(dag_id, run_id, seconds=900) == "success"


def test_the_runbook_is_one_click_away(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/dags/streaming_lifecycle")
    page.get_by_test_id("markdown-button").first.click()
    expect(page.get_by_text("When it fails").first).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "runbook")


def test_a_task_log_shows_progress(page: Page, stack: RunningStack) -> None:
    run_id = next(run["dag_run_id"] for run in stack.api.runs("replay_events") if run["state"] == "success")
    page.goto(f"{stack.url}/dags/replay_events/runs/{run_id}/tasks/replay_events")
    expect(page.get_by_text("events/s").first).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "task-log")
