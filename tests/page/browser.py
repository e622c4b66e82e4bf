"""A real browser on a served service, and what it did: requests, console, policy violations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

DEADLINE = 30_000.0  # milliseconds


@contextmanager
def browser() -> Iterator[Browser]:
    """Run the Chromium of this system until the block ends."""
    program = shutil.which("chromium")
    assert program is not None, "these tests need Debian's package `chromium`: `scripts/debian chromium`"
    expect.set_options(timeout=DEADLINE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


class Visit:
    """One tab on the page of a service, which must do nothing that a page should not."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, api: str = "") -> Page:
        """Go to the page, or to one API on it."""
        self.page.goto(f"{self.url}/#/{api}")
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        return self.page

    def send(self, name: str = "Send") -> None:
        """Send the request and wait for the beginning of the answer."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.locator(".status").wait_for()

    def check(self) -> None:
        """Fail where the browser complained, or asked another host."""
        host = urlsplit(self.url).netloc
        foreign = [
            u for u in self.requests if urlsplit(u).netloc != host and not u.startswith(("blob:", "data:"))
        ]
        assert foreign == []
        assert self.complaints == []

    def _hear(self, message: ConsoleMessage) -> None:
        answered = message.text.startswith("Failed to load resource: the server responded with")
        if message.type in ("error", "warning") and not answered:
            self.complaints.append(message.text)


@contextmanager
def visit(
    chromium: Browser, url: str, *, width: int = 1280, height: int = 860, scheme: str = "light"
) -> Iterator[Visit]:
    """Open a tab with a session of its own; what it did is checked in the end."""
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    context.set_default_timeout(DEADLINE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    try:
        tab = Visit(context.new_page(), url)
        yield tab
        tab.check()
    finally:
        context.close()
