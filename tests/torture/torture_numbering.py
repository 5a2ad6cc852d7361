"""The numbering of many random files of sales, with one process and with several."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.records.numbered import check
from utils.files import pieces

HISTORIES = 1_500


@pytest.mark.parametrize("processes", [1, 3])
def test_random_sales_are_numbered_as_the_rule_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, processes: int
) -> None:
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", 1_500)
    for number in range(HISTORIES // (1 if processes == 1 else 20)):
        check(tmp_path / str(number), seed + number, processes)
