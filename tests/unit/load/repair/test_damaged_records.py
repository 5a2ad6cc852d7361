"""The records of a repair, with their places in the transformed file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from load.repair import damaged_records
from load.repair.damaged_records import DamagedRecords
from utils.differences import (
    ADDED,
    EXTRA,
    MISSING,
    ItemDifference,
    RecordDifference,
    lines_of_records,
)


def lines_of(number: int, children: int) -> list[bytes]:
    key = b'{"Item":{"PK":{"S":"SALE#%d"},"SK":{"S":"%b"},"legacyId":{"S":"1"}}}\n'
    return [key % (number, b"METADATA"), *(key % (number, b"LINE#%d" % n) for n in range(children))]


@pytest.mark.parametrize("together", [1, 1_000])
def test_each_has_its_lines_and_those_of_no_line_come_last(
    tmp_path: Path, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damaged_records, "_TOGETHER", together)
    records = {number: lines_of(number, number % 4) for number in range(50)}
    transformed, differences = tmp_path / "sales.json", tmp_path / "differences.json"
    transformed.write_bytes(b"".join(line for each in records.values() for line in each))
    damaged = {49: MISSING, 0: MISSING, 7: EXTRA, 23: MISSING, 24: ADDED, 99: EXTRA}
    differences.write_bytes(
        lines_of_records(
            RecordDifference(f"SALE#{number}", str(number), (ItemDifference("LINE#1", how),))
            for number, how in damaged.items()
        )
    )
    with DamagedRecords(tmp_path / "scratch", differences, {MISSING, EXTRA}) as found:
        assert found.count == 5
        there = {each.pk: each for each in found.in_file(transformed)}
        assert list(there) == ["SALE#0", "SALE#7", "SALE#23", "SALE#49"]
        for number in (0, 7, 23, 49):
            assert there[f"SALE#{number}"].lines(transformed) == records[number]
        (gone,) = found.elsewhere()
    assert (gone.pk, gone.legacy_id, gone.hows, gone.place) == (
        "SALE#99",
        "99",
        {"LINE#1": EXTRA},
        None,
    )
    assert not (tmp_path / "scratch").exists()


def test_of_large_records_few_are_held_at_a_time(tmp_path: Path) -> None:
    """What a difference shows of a record may be as large as an item."""
    large, differences = {"note": "x" * 400_000}, tmp_path / "differences.json"
    how = (ItemDifference("METADATA", EXTRA),)
    with differences.open("wb") as out:
        for number in range(200):
            record = RecordDifference(f"SALE#{number}", str(number), how, large, large)
            out.write(record.as_line())
    tracemalloc.start()
    with DamagedRecords(tmp_path / "scratch", differences, {EXTRA}) as found:
        assert sum(1 for _ in found.elsewhere()) == 200
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
