"""A sale of fifty thousand lines takes no more memory than a table of ordinary ones (C20)."""

from __future__ import annotations

from tests.bench.large import measure
from tests.bench.measure import Figures
from tests.bench.source import Size

MOST_MB = 300


def test_no_phase_takes_more_than_300_mb_for_a_sale_of_fifty_thousand_lines() -> None:
    peaks: dict[str, float] = {}

    def note(name: str, figures: Figures) -> None:
        assert figures.items > 50_000
        peaks[name] = figures.peak_mb

    measure(Size(1, 16_667), note)
    assert {name: peak for name, peak in peaks.items() if peak > MOST_MB} == {}
