"""What a part of a transformed file leaves when it is checked, and as a checkpoint keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_written, identifier, numbers, party, sale_record
from utils.files.pieces import ByteRange, places
from utils.files.spill import Runs, ranges, read_buckets
from utils.processes.pieces_runner import ThisProcess
from validate.gate import references
from validate.gate.finding_spool import findings_in
from validate.gate.numbering import glance, outlines_of
from validate.gate.part import CheckedPart, CheckPass, check_piece
from validate.gate.record_checks import Policy


def checked(path: Path, entity: str = "sales", *, compared: bool = True) -> CheckedPart:
    directory = path.with_suffix("")
    directory.mkdir()
    work = CheckPass(path, entity, Policy(), directory, duplicates=compared, references=compared)
    return work((0, ByteRange(0, path.stat().st_size)))


def lines_in(runs: Runs) -> list[str]:
    """All lines in the buckets of runs."""
    found = [lines for numbers in ranges(runs) for lines in read_buckets(runs, numbers)]
    return sorted(line.decode() for lines in found for line in lines)


def file_of(tmp_path: Path, *records: list[dict[str, object]]) -> Path:
    path = tmp_path / "records.json"
    path.write_bytes(b"".join(line for record in records for line in as_written(record)))
    return path


def test_of_sales_a_little_is_left_to_compare_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = sale_record(8)
    bad[1].update(numbers(netAmount="32.630"))
    path = file_of(tmp_path, sale_record(7), bad, sale_record(9), sale_record(10, buyer=5))
    found = checked(path)
    assert (found.records, found.errors) == (4, 1)
    assert {each.place for each in findings_in(found.found)} == {1}
    names = sorted(
        f"{kind}s {identifier(kind, key)}"
        for kind, key in (("buyer", 1), ("buyer", 5), ("producer", 2))
    )
    assert lines_in(found.named) == names
    assert found.keys == ()
    assert lines_in(found.shared) == sorted(
        f"{value}\t{place} {key}"
        for place, key in ((0, 7), (2, 9), (3, 10))
        for value in (
            f"duplicate-key SALE#{identifier('sale', key)}",
            f'duplicate-sale-number "2024/{key}"',
        )
    )
    assert [outline.tops["2024"].number for _, outline in found.outlines] == [10]
    monkeypatch.setattr(references, "_REMEMBERED", 0)
    again = checked(path.rename(tmp_path / "again.json"))
    assert {*lines_in(again.named)} == {*names}


def test_of_parties_the_keys_are_left_as_well(tmp_path: Path) -> None:
    bad = party("buyer", 2)
    del bad["city"]
    found = checked(file_of(tmp_path, [bad], [party("buyer", 1)]), "buyers")
    assert lines_in(found.keys) == [f"buyers {identifier('buyer', 1)}\t1"]
    (each,) = findings_in(found.found)
    assert (each.place, each.identity) == (0, f"BUYER#{identifier('buyer', 2)}")
    assert found.outlines == ()


@pytest.mark.parametrize("entity", ["buyers", "sales"])
def test_what_nobody_compares_is_not_left(tmp_path: Path, entity: str) -> None:
    record = [party("buyer", 1)] if entity == "buyers" else sale_record(1)
    assert checked(file_of(tmp_path, record), entity, compared=False).files == ()


def test_a_part_survives_the_checkpoint_unchanged(tmp_path: Path) -> None:
    bad, odd = sale_record(8), sale_record(9)
    bad[1].update(numbers(netAmount="32.630"))
    odd[0].update(numbers(saleNumber="9" * 25))
    found = checked(file_of(tmp_path, sale_record(7), bad, odd))
    assert found.found
    assert CheckedPart.of_text(found.as_text()) == found


def test_what_has_no_date_is_in_no_year(tmp_path: Path) -> None:
    """It has an error of its own, and the numbering passes over it."""
    for change in ({}, {"saleDate": {"S": "someday"}}):
        odd = sale_record(8)
        del odd[0]["saleDate"]
        odd[0].update(change, legacy={"M": {"a": {"S": "b"}}})
        path = file_of(tmp_path, odd, sale_record(9))
        (outline,) = outlines_of(path, ThisProcess())
        assert outline[1].tops["2024"].number == 9
        del odd[0]["legacy"]
        assert glance(as_written(odd)[0]) is None


_DAYS = st.sampled_from(["2024-01-31", "2024-02-29", "2024-12-31", "2023-05-05"])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(st.data())
def test_the_outline_is_that_of_the_bytes_however_a_sale_was_judged(
    tmp_path: Path, data: st.DataObject
) -> None:
    """So that the file need not be read again for it."""
    records = []
    for number in range(data.draw(st.integers(0, 4))):
        items = sale_record(number)
        head = items[0]
        head["saleDate"] = {"S": data.draw(_DAYS)}
        head["saleNumber"] = {"N": str(data.draw(st.integers(-1, 9)))}
        for name, value in (("year", {"N": "2024"}), ("docType", {"S": "proforma"})):
            if data.draw(st.booleans()):
                head[name] = value
        if data.draw(st.booleans()):
            del head["GSI4PK"], head["GSI4SK"]
        elif data.draw(st.booleans()):
            for name in ("GSI1SK", "GSI2SK", "GSI3SK", "GSI4SK"):
                head[name] = head["saleDate"]
        if data.draw(st.integers(0, 3)) == 0:
            head["legacy"] = {"M": {"saleNumber": {"N": "99"}}}
        if data.draw(st.integers(0, 3)) == 0:
            del head[data.draw(st.sampled_from(["saleDate", "saleNumber", "status", "currency"]))]
        records.append(items)
    path = file_of(tmp_path, *records)
    pieces = places(path.stat().st_size)
    seen = [(piece, check_piece(piece, path, "sales", Policy()).outline) for piece in pieces]
    assert seen == outlines_of(path, ThisProcess())
    assert all(glance(as_written(record)[1]) is None for record in records)
