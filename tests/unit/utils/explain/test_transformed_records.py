"""A record is found in a transformed file wherever it is, and nothing else is taken for it."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from utils.explain.transformed_records import TransformedRecords


def item(key: int, child: int, text: str) -> bytes:
    sort_key = f"LINE#{child}" if child else "METADATA"
    keys = {"PK": {"S": f"SALE#{key}"}, "SK": {"S": sort_key}}
    legacy = {"legacyId": {"S": str(child or key)}}
    return orjson.dumps({"Item": {**keys, **legacy, "notes": {"S": text}}}) + b"\n"


@pytest.mark.parametrize("seed", range(12))
def test_every_record_is_found(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    keys = sorted(dice.sample(range(-20, 5_000), dice.choice((1, 2, 40, 300))))
    records = {
        key: b"".join(
            item(key, child, "x" * dice.choice((1, 50, 2_000)))
            for child in range(dice.choice((1, 1, 4, 60)))
        )
        for key in keys
    }
    path = tmp_path / "sales.json"
    path.write_bytes(b"".join(records.values()))
    with TransformedRecords(path) as file:
        for key in range(-25, 5_010, 1 if len(keys) < 50 else 7):
            place = file.place(key)
            found = b"".join(file.lines(place)) if place else None
            assert found == records.get(key)
        for key in keys:
            place = file.place(key)
            assert place is not None
            assert b"".join(file.lines(place)) == records[key]


def test_no_file_and_an_empty_one_have_none(tmp_path: Path) -> None:
    with TransformedRecords(tmp_path / "sales.json") as file:
        assert file.place(1) is None
    (tmp_path / "sales.json").touch()
    with TransformedRecords(tmp_path / "sales.json") as file:
        assert file.place(1) is None
