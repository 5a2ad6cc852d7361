"""The pictures in docs/: pages as they look after a demonstration.

`python -m tests.support.documents.pictures` runs the demonstration and takes them anew; they differ
from time to time in what the clock and the speed of the machine say.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.support.browser import Browser, chromium_of_all_tests
from tests.support.places import ROOT

REPORT = ROOT / "docs" / "report.png"
_HEIGHT = 1_080


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as root, chromium_of_all_tests() as chromium:
        demo = [sys.executable, str(ROOT / "migrate.py"), "--quiet", "demo"]
        subprocess.run(demo, cwd=root, check=True)
        windows = Browser(chromium)
        page = windows.page(1_200)
        page.goto((Path(root) / "data" / "demo" / "reports" / "report.html").as_uri())
        take(page, REPORT)
        windows.close()


def take(page: Page, path: Path) -> None:
    """A picture of the upper part of a page."""
    page.set_viewport_size({"width": 1_200, "height": _HEIGHT})
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
