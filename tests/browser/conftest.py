"""A headless Chromium, and a page of it that is logged in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.looking import PATIENCE_MS
from tests.stack import RunningStack

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
    # Of the context: pages that a click opens are heard, too, and so is every frame.
    opened.context.on("request", lambda request: None if request.url.startswith(own) else strangers.append(request.url))
    opened.goto(stack.url)
    opened.fill("input[name=username]", stack.login[0])
    opened.fill("input[name=password]", stack.login[1])
    opened.click("button[type=submit]")
    opened.wait_for_url(lambda url: "login" not in url)
    yield opened
    assert not strangers
