"""A page that is renewed from time to time."""

from __future__ import annotations

from pathlib import Path

from utils.config import Config
from utils.pages.report.making import RenewedPage


def test_it_is_made_at_once_and_then_every_ten_minutes(tmp_path: Path) -> None:
    page, times = tmp_path / "reports" / "report.html", [0.0]
    renew = RenewedPage(tmp_path, Config(), clock=lambda: times[-1])
    made = []
    for now in (0.0, 1.0, 599.0, 600.0, 1_199.0, 1_300.0):
        times.append(now)
        renew()
        made.append(page.exists())
        page.unlink(missing_ok=True)
    assert made == [True, False, False, True, False, True]
