"""What a person does: log in, look around, trigger every DAG by its form, read a task's log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stack import RunningStack

PATIENCE_MS = 60_000
# Chromium looks for its maker's servers at every start unless it is told not to.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DAGS = ["seed_dimensions", "streaming_lifecycle", "replay_events", "data_quality", "train_models"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page(browser: Browser, stack: RunningStack) -> Iterator[Page]:
    """A page that is logged in, and that has asked nobody but our own server for anything."""
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    strangers: list[str] = []
    own = (stack.url, "data:", "blob:")
    opened.on("request", lambda request: None if request.url.startswith(own) else strangers.append(request.url))
    opened.goto(stack.url)
    opened.fill("input[name=username]", stack.login[0])
    opened.fill("input[name=password]", stack.login[1])
    opened.click("button[type=submit]")
    opened.wait_for_url(lambda url: "login" not in url)
    yield opened
    assert not strangers


def screenshot(page: Page, name: str) -> None:
    """Keep a picture where SHOPSTREAM_SCREENSHOTS says so."""
    if folder := os.environ.get("SHOPSTREAM_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_all_dags_are_listed(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/dags")
    for dag_id in DAGS:
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "dags")


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_dag_can_be_triggered_from_its_form(page: Page, stack: RunningStack, month: Path, dag_id: str) -> None:
    before = {run["dag_run_id"] for run in stack.api.runs(dag_id)}
    page.goto(f"{stack.url}/dags/{dag_id}")
    page.get_by_test_id("trigger-dag-button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Trigger Dag - {dag_id}", timeout=PATIENCE_MS)
    if dag_id in ("seed_dimensions", "replay_events"):
        dialog.locator("[name=element_file]").fill(str(month))
    if dag_id == "replay_events":
        dialog.locator("[name=element_limit]").fill("500")
    screenshot(page, f"trigger-{dag_id}")
    dialog.get_by_role("button", name="Trigger", exact=True).click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    started = [run["dag_run_id"] for run in stack.api.runs(dag_id) if run["dag_run_id"].startswith("manual__")]
    fresh = [run_id for run_id in started if run_id not in before]
    assert len(fresh) == 1
    assert stack.api.wait(dag_id, fresh[0], seconds=900) == "success"


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
