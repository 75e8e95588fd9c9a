"""The Data Quality section as it is used: data goes bad, the overview turns, the finding is read, the data is mended.

The tests of this module belong together and run in their order: one provokes what the next ones look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from tests.browser.looking import PATIENCE_MS, screenshot, trigger
from tests.stack import RunningStack

# A training that took less than no time. Every run reads all of this collection, whatever is new in others.
COLLECTION = "model_runs"
LONG_AGO = datetime(1999, 1, 1, tzinfo=UTC)
BAD = {
    "_id": "1999-01-01T00:00:00Z|browser_test",
    "kind": "run",
    "as_of": LONG_AGO,
    "model": "browser_test",
    "code_version": "none",
    "finished_at": LONG_AGO,
    "metrics": {"silhouette": 0.5},
    "parameters": {"clusters": 4},
    "artefact_path": "none",
    "documents": 1,
    "data_fingerprint": "none",
    "output_fingerprint": "none",
    "duration_seconds": -7.25,
}
EXPECTATION = "expect_column_values_to_be_between:duration_seconds"


@pytest.fixture(scope="module", autouse=True)
def good_data(stack: RunningStack) -> Iterator[None]:
    """Data without this fault, checked once; nothing of this module stays behind."""
    stack.run_dag("data_quality", {"collections": [COLLECTION, "products"]})
    yield
    stack.db[COLLECTION].delete_one({"_id": BAD["_id"]})


@pytest.fixture(scope="module")
def bad_run(page: Page, stack: RunningStack) -> str:
    """A run, triggered from the UI, that finds what was made bad before."""
    stack.db[COLLECTION].replace_one({"_id": BAD["_id"]}, BAD, upsert=True)
    run_id = trigger(page, stack, "data_quality")
    assert stack.api.wait("data_quality", run_id, seconds=900) == "failed"
    return run_id


def failed_task(stack: RunningStack, run_id: str) -> str:
    """Address of the task, or of the one of its copies, that judged the collection."""
    path = f"/api/v2/dags/data_quality/dagRuns/{run_id}/taskInstances?limit=100"
    tasks = stack.api.request("GET", path)["task_instances"]
    failed = [task for task in tasks if task["state"] == "failed"]
    # With a copy for each check, it is named after what it judged.
    task = next((one for one in failed if one.get("rendered_map_index") == COLLECTION), failed[0])
    copy = f"/mapped/{task['map_index']}" if task["map_index"] >= 0 else ""
    return f"{stack.url}/dags/data_quality/runs/{run_id}/tasks/{task['task_id']}{copy}"


def section(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Data quality']")


def row(page: Page, collection: str) -> Locator:
    frame = section(page)
    return frame.locator("table.matrix tbody tr").filter(has=frame.get_by_role("link", name=collection, exact=True))


def open_overview(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/plugin/data-quality")
    expect(section(page).get_by_role("heading", name="Data quality", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def run_page(stack: RunningStack, run_id: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", run_id)
    return f"{stack.url}/plugin/data-quality/quality/run?id={name}"


def test_the_section_is_in_the_navigation(page: Page, stack: RunningStack) -> None:
    page.goto(stack.url)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Data quality").click()
    status = row(page, COLLECTION).locator(".status")
    expect(status).to_be_visible(timeout=PATIENCE_MS)
    expect(status).not_to_contain_text("failed")
    assert "/plugin/data-quality" in page.url


def test_the_overview_turns_when_data_goes_bad(page: Page, stack: RunningStack, bad_run: str) -> None:
    open_overview(page, stack)
    ours = row(page, COLLECTION)
    expect(ours.locator(".status")).to_have_text("✕failed", timeout=PATIENCE_MS)
    expect(ours.locator("a.failed").last).to_have_attribute("title", re.compile("failed, 1 critical"))
    expect(section(page).locator("figure svg .line").first).to_be_visible()
    screenshot(page, "quality-overview")


def test_from_the_overview_to_the_failed_expectation(page: Page, stack: RunningStack, bad_run: str) -> None:
    open_overview(page, stack)
    row(page, COLLECTION).locator("a.failed").last.click()
    frame = section(page)
    expect(frame.get_by_role("heading", name=re.compile("^Run "))).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "quality-run")
    frame.get_by_role("link", name=EXPECTATION, exact=True).click()
    expect(frame.get_by_role("heading", name=EXPECTATION).first).to_be_visible(timeout=PATIENCE_MS)
    expect(frame.get_by_text(str(BAD["_id"]), exact=True)).to_be_visible()
    expect(frame.get_by_text("duration_seconds=-7.25")).to_be_visible()
    # The address names what is shown, so it can be passed on.
    page.wait_for_url(re.compile("expectation"))
    page.reload()
    expect(section(page).get_by_role("heading", name=EXPECTATION).first).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "quality-expectation")


def test_the_data_docs_are_complete(page: Page, stack: RunningStack, bad_run: str) -> None:
    page.goto(run_page(stack, bad_run))
    section(page).get_by_role("link", name=f"Data Docs of {COLLECTION}").click()
    docs = section(page).frame_locator("iframe")
    expect(docs.get_by_text("Table of Contents")).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "quality-data-docs")
    # Bootstrap lays the page out, Font Awesome draws its signs, jQuery works its buttons.
    assert docs.locator(".alert-secondary").first.evaluate("found => getComputedStyle(found).borderRadius") != "0px"
    sign = docs.locator("i.fa-check-circle").first
    assert "Font Awesome" in sign.evaluate("found => getComputedStyle(found, '::before').fontFamily")
    assert sign.evaluate(
        "async () => { await document.fonts.ready; return document.fonts.check('900 16px \"Font Awesome 6 Free\"') }"
    )
    docs.get_by_text("Failed Only").click()
    expect(sign).to_be_hidden(timeout=PATIENCE_MS)


def test_the_task_log_links_to_the_run(page: Page, stack: RunningStack, bad_run: str) -> None:
    page.goto(failed_task(stack, bad_run))
    link = page.locator("a[href*='/plugin/data-quality/']").first
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    screenshot(page, "quality-log")
    assert link.get_attribute("href") == run_page(stack, bad_run)
    with page.context.expect_page() as opened:
        link.click()
    followed = opened.value
    expect(section(followed).get_by_role("link", name=EXPECTATION, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    followed.close()


def test_dags_and_their_runs_have_a_tab(page: Page, stack: RunningStack, bad_run: str) -> None:
    page.goto(f"{stack.url}/dags/train_models")
    page.get_by_role("link", name="Data quality").click()
    expect(row(page, COLLECTION)).to_be_visible(timeout=PATIENCE_MS)
    expect(row(page, "products")).to_have_count(0)
    screenshot(page, "quality-dag-tab")
    page.goto(f"{stack.url}/dags/data_quality/runs/{bad_run}")
    page.get_by_role("link", name="Data quality").click()
    expect(section(page).get_by_role("link", name=EXPECTATION, exact=True)).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_and_follows_airflows_theme(
    browser: Browser, page: Page, stack: RunningStack, bad_run: str, width: int, theme: str
) -> None:
    # The other one is what the system asks for: Airflow's own choice has to win.
    other: Literal["dark", "light"] = "dark" if theme == "light" else "light"
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=other, storage_state=page.context.storage_state()
    )
    look = context.new_page()
    look.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    open_overview(look, stack)
    body = section(look).locator("body")
    assert body.evaluate("body => document.documentElement.scrollWidth <= innerWidth"), (
        "the page is wider than its frame"
    )
    red = int(body.evaluate("body => getComputedStyle(body).backgroundColor.match(/\\d+/)[0]"))
    assert (red > 200) == (theme == "light")
    screenshot(look, f"quality-{width}-{theme}")
    context.close()


def test_strangers_get_nothing(browser: Browser, stack: RunningStack, bad_run: str) -> None:
    context = browser.new_context()
    for path in ("", f"run?id={bad_run}", "docs/page?run=..&collection=products"):
        answer = context.request.get(f"{stack.url}/quality/{path}")
        assert answer.status == 401
        assert COLLECTION not in answer.text()
    context.close()


def test_the_overview_turns_back_when_the_data_is_mended(page: Page, stack: RunningStack, bad_run: str) -> None:
    stack.db[COLLECTION].delete_one({"_id": BAD["_id"]})
    stack.run_dag("data_quality", {"collections": [COLLECTION]})
    open_overview(page, stack)
    expect(row(page, COLLECTION).locator("a.failed").last).to_be_visible(timeout=PATIENCE_MS)
    expect(row(page, COLLECTION).locator(".status")).not_to_contain_text("failed")
    screenshot(page, "quality-mended")
