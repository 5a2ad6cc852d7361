"""A browser for tests of pages: Debian's Chromium, one of it for all tests of a process.

Each test gets windows of its own (`Browser.page`). Whatever they ask for is recorded: a page that
asks anyone but who it came from fails the test, whatever else it shows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright

PHONE, TABLET, SCREEN = WIDTHS = (360, 800, 1400)
"""Widths in which every page is looked at, in pixels."""
HEIGHT = 900
_AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
_WITHIN_THE_PAGE = ("data", "blob", "about")

Scheme = Literal["light", "dark"]


@contextmanager
def chromium_of_all_tests() -> Iterator[Chromium]:
    """The browser itself; a test that needs it is skipped where there is none."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]  # tests may be root in a container
        browser = playwright.chromium.launch(executable_path=binary, args=arguments)
        yield browser
        browser.close()


@dataclass
class Browser:
    """The windows of one test."""

    chromium: Chromium
    _contexts: list[BrowserContext] = field(default_factory=list)
    _asked: list[tuple[str, str]] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)

    def page(
        self,
        width: int = SCREEN,
        scheme: Scheme = "light",
        *,
        script: bool = True,
        headers: Mapping[str, str] | None = None,
        calm: bool = False,
    ) -> Page:
        """An empty page in a window with cookies of its own. Without `script` it runs none; `calm`
        is somebody who has asked for no motion."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            java_script_enabled=script,
            extra_http_headers=dict(headers or {}),
            reduced_motion="reduce" if calm else "no-preference",
        )
        context.set_default_timeout(15_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self._asked.append((_origin(page.url), request.url)))
        page.on("websocket", lambda socket: self._asked.append((_origin(page.url), socket.url)))
        page.on("pageerror", lambda error: self._said.append(f"{page.url}: {error}"))
        page.on("console", lambda line: self._hear(line.type, line.text))
        return page

    @property
    def requests(self) -> list[str]:
        """What the pages have asked for."""
        return [url for _, url in self._asked]

    @property
    def complaints(self) -> list[str]:
        """Errors of scripts, and what the browser has refused (a content security policy)."""
        return self._said

    def strangers(self) -> list[str]:
        """Requests for anything else than what the page came from (and, as it came, itself)."""
        return [
            url
            for origin, url in self._asked
            if urlsplit(url).scheme not in _WITHIN_THE_PAGE and origin not in ("", _origin(url))
        ]

    def close(self) -> None:
        """Close the windows."""
        for context in self._contexts:
            context.close()

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error":
            self._said.append(text)


def _origin(url: str) -> str:
    """Where a page comes from; of a file it is itself; "" of a window that shows nothing yet."""
    parts = urlsplit(url)
    if parts.scheme in _WITHIN_THE_PAGE:
        return ""
    return url.partition("#")[0] if parts.scheme == "file" else f"{parts.scheme}://{parts.netloc}"


def overflowing(page: Page) -> list[str]:
    """What is wider than the window, with how wide: the page itself, or an element of it that does
    not lie in a frame that scrolls by itself."""
    found: list[str] = page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth, found = [];
          if (document.documentElement.scrollWidth > wide)
            found.push(`the page: ${document.documentElement.scrollWidth} of ${wide} pixels`);
          const scrolls = each => {
            for (let at = each.parentElement; at; at = at.parentElement)
              if (getComputedStyle(at).overflowX !== "visible") return true;
            return false;
          };
          for (const each of document.body.querySelectorAll("*")) {
            if (!each.checkVisibility()) continue;  // in closed details it lies as it did last
            const box = each.getBoundingClientRect();
            if (box.width && box.right > wide + 1 && !scrolls(each) && !each.closest("svg svg"))
              found.push(`${each.tagName}: to ${Math.round(box.right)} of ${wide}`);
          }
          return found;
        }"""
    )
    return found


def axe(page: Page) -> list[str]:
    """What axe-core finds that keeps people out: the rule, its help, and where; the page's own
    policy does not keep it away, since it is handed to the page and not asked for by it. Of a long
    table it looks at the first rows: the others are of the same making."""
    page.evaluate(_AXE.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        "() => axe.run({exclude: ['tr:nth-child(n+9)']}, {resultTypes: ['violations']})"
        ".then(found => found.violations)"
    )
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: "
        + "; ".join(node["html"][:200] for node in each["nodes"][:3])
        for each in found
    ]
