"""The file of differences: what is written is what is read."""

from __future__ import annotations

from pathlib import Path

from utils.differences import (
    DIFFERENT,
    MISSING,
    ItemDifference,
    RecordDifference,
    lines_of_records,
    read_differences,
)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    records = [
        RecordDifference(
            "SALE#1", "1", (ItemDifference("METADATA", DIFFERENT),), {"total": "1.10"}
        ),
        RecordDifference({"N": "7"}, "", (ItemDifference("LINE#1", MISSING),), None, {"lines": 2}),
    ]
    path.write_bytes(lines_of_records(records))
    assert list(read_differences(path)) == records
    assert records[0].kinds == {DIFFERENT}


def test_no_file_has_no_records(tmp_path: Path) -> None:
    assert list(read_differences(tmp_path / "sales.json")) == []
