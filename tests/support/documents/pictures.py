"""The pictures in docs/: pages as they look after a demonstration.

`python -m tests.support.documents.pictures` runs the demonstration and takes them anew; they differ
from time to time in what the clock and the speed of the machine say.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.support.browser import Browser, chromium_of_all_tests
from tests.support.places import ROOT

REPORT, DASHBOARD = ROOT / "docs" / "report.png", ROOT / "docs" / "dashboard.png"
_WIDTH, _HEIGHT = 1_200, 1_080
_MIGRATE = [sys.executable, str(ROOT / "migrate.py")]
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as root, chromium_of_all_tests() as chromium:
        page = Browser(chromium).page(_WIDTH)
        at_work = subprocess.Popen([*_MIGRATE, "--quiet", "demo"], cwd=root)
        with dashboard(Path(root)) as address:
            page.goto(address)
            page.get_by_text("Load, sales").first.wait_for(timeout=120_000)
            page.wait_for_timeout(3_000)
            take(page, DASHBOARD)
            at_work.wait()
        page.goto((Path(root) / "data" / "demo" / "reports" / "report.html").as_uri())
        take(page, REPORT)


@contextmanager
def dashboard(root: Path) -> Iterator[str]:
    """The dashboard of the demonstration below a directory; gives its address."""
    command = [*_MIGRATE, "dashboard", "--directory", "data/demo"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            found = (_ADDRESS.search(line) for line in running.stdout)
            yield next(each[0] for each in found if each)
        finally:
            running.terminate()


def take(page: Page, path: Path) -> None:
    """A picture of the upper part of a page."""
    page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
