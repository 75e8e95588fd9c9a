"""What tests of the UI have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from playwright.sync_api import Page, expect

from tests.stack import RunningStack

PATIENCE_MS = 60_000


def screenshot(page: Page, name: str) -> None:
    """Keep a picture where SHOPSTREAM_SCREENSHOTS says so."""
    if folder := os.environ.get("SHOPSTREAM_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def trigger(page: Page, stack: RunningStack, dag_id: str, fields: Mapping[str, str] = MappingProxyType({})) -> str:
    """Trigger a DAG by its form; returns the id of the run.

    Args:
        page: A page that is logged in.
        stack: The stack it belongs to.
        dag_id: The DAG.
        fields: What to fill in, by parameter.
    """
    before = {run["dag_run_id"] for run in stack.api.runs(dag_id)}
    page.goto(f"{stack.url}/dags/{dag_id}")
    page.get_by_test_id("trigger-dag-button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Trigger Dag - {dag_id}", timeout=PATIENCE_MS)
    for name, value in fields.items():
        dialog.locator(f"[name=element_{name}]").fill(value)
    screenshot(page, f"trigger-{dag_id}")
    dialog.get_by_role("button", name="Trigger", exact=True).click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    started = [run["dag_run_id"] for run in stack.api.runs(dag_id) if run["dag_run_id"].startswith("manual__")]
    (fresh,) = (run_id for run_id in started if run_id not in before)
    return str(fresh)
