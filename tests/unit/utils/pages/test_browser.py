"""The eyes that the tests of pages have: they see what they are there to see."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from tests.support.browser import PHONE, Browser, axe, overflowing

_GOOD = '<!doctype html><html lang="en"><title>A page</title><main><h1>It is</h1></main></html>'
_WIDE = '<div style="width: 900px; background: red">wide</div>'
_FRAMED = f'<div style="overflow-x: hidden">{_WIDE}</div>'


def test_a_good_page_gives_no_cause_for_complaint(browser: Browser, tmp_path: Path) -> None:
    page = browser.page(PHONE)
    page.goto(_file(tmp_path, _GOOD.replace("</main>", f"{_FRAMED}</main>")))
    assert overflowing(page) == []
    assert axe(page) == []
    assert browser.complaints == []


def test_what_is_too_wide_is_named(browser: Browser, tmp_path: Path) -> None:
    page = browser.page(PHONE)
    page.goto(_file(tmp_path, _GOOD + _WIDE))
    assert overflowing(page) == ["the page: 908 of 360 pixels", "DIV: to 908 of 360"]


def test_who_keeps_people_out_is_named(browser: Browser, tmp_path: Path) -> None:
    page = browser.page()
    page.goto(_file(tmp_path, "<!doctype html><title>A page</title><img src='data:,'>"))
    assert [each.split()[0] for each in axe(page)] == [
        "html-has-lang", "image-alt", "landmark-one-main", "page-has-heading-one", "region",
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/pixel.png", "file:///etc/hostname"])
def test_who_asks_a_stranger_is_named(chromium: Chromium, tmp_path: Path, url: str) -> None:
    windows = Browser(chromium)
    try:
        page = windows.page()
        page.goto(_file(tmp_path, f"{_GOOD}<img alt='' src='{url}'>"))
        assert windows.strangers() == [url]
    finally:
        windows.close()


def test_without_script_nothing_runs_and_errors_of_scripts_are_heard(
    browser: Browser, tmp_path: Path
) -> None:
    url = _file(tmp_path, f"{_GOOD}<script>document.title = 'Ran'; nothing()</script>")
    for script, title in ((False, "A page"), (True, "Ran")):
        page = browser.page(script=script)
        page.goto(url)
        assert page.title() == title
    assert len(browser.complaints) == 1


def _file(folder: Path, text: str) -> str:
    path = folder / "page.html"
    path.write_text(text, "utf-8")
    return path.as_uri()
