"""Rows of an extracted file are found by their keys, in whatever order they are asked for."""

from __future__ import annotations

from pathlib import Path
from random import Random

import orjson

from utils.files import extracted_rows
from utils.files.extracted_rows import RowsByKey


def test_every_row_is_found_and_no_other(tmp_path: Path) -> None:
    chance = Random(7)
    keys = sorted(chance.sample(range(-50, 5_000), 900))
    path = tmp_path / "sales.json"
    path.write_bytes(b"".join(_line(chance, key) for key in keys))
    assert path.stat().st_size > 20 * extracted_rows._ONE_AFTER_THE_OTHER
    rising = sorted(chance.choices(range(-60, 5_010), k=300))
    for asked in (rising, chance.sample(rising, len(rising)), keys[::7]):
        with RowsByKey(path) as rows:
            for key in asked:
                row = rows.row(key)
                assert (row and row["first_id"]) == (key if key in keys else None)


def _line(chance: Random, key: int) -> bytes:
    row = {"first_id": key, "notes": "x" * chance.choice([0, 40, 3_000]), "lines": []}
    if chance.random() < 0.1:  # the key need not come first
        row = {"notes": row["notes"], "lines": [], "first_id": key}
    if chance.random() < 0.01:
        row["lines"] = [{"notes": "y" * 90_000}]
    return orjson.dumps(row) + b"\n"


def test_where_there_is_no_file_there_is_no_row(tmp_path: Path) -> None:
    with RowsByKey(tmp_path / "sales.json") as rows:
        assert rows.row(1) is None
