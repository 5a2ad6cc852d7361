"""Rows that are kept on disk while the connection is needed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract.mysql import protocol_rows
from extract.mysql.protocol_rows import SpooledRows
from extract.source import Row

_TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b""))
_ROWS = st.lists(st.tuples(_TEXT, _TEXT), max_size=30)


@given(rows=_ROWS, block=st.integers(1, 64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_were_wherever_a_block_ends(
    rows: list[Row], block: int, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol_rows, "_BLOCK", block)
        patch.setattr(protocol_rows, "_PAGE", 7)
        with SpooledRows.of(iter(rows), tmp_path) as kept:
            assert kept.count == len(rows)
            both = zip(kept.rows(), kept.keys(), strict=True)  # in step, as they are read
            assert [(*row, key) for row, key in both] == [(*row, row[0]) for row in rows]
    assert list(tmp_path.iterdir()) == []
