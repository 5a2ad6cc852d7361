"""What a piece of a transformed file gives, as it travels and waits in the journal."""

from __future__ import annotations

from pathlib import Path

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_written, identifier, numbers, party, sale_record
from utils.files.pieces import ByteRange, places
from utils.processes.pieces_runner import ThisProcess
from validate.gate.numbering import glance, outlines_of
from validate.gate.piece import PieceFindings, check_piece
from validate.gate.record_checks import Policy


def outcome_of(path: Path, entity: str = "sales") -> PieceFindings:
    return check_piece(ByteRange(0, path.stat().st_size), path, entity, Policy())


def file_of(tmp_path: Path, *records: list[dict[str, object]]) -> Path:
    path = tmp_path / "records.json"
    path.write_bytes(b"".join(line for record in records for line in as_written(record)))
    return path


def test_of_sales_a_little_is_kept_to_compare_them(tmp_path: Path) -> None:
    bad = sale_record(8)
    bad[1].update(numbers(netAmount="32.630"))
    found = outcome_of(file_of(tmp_path, sale_record(7), bad, sale_record(9)))
    assert found.records == 3
    assert {number for number, _ in found.findings} == {1}
    assert dict(found.compared.references()) == {
        "buyerId": [identifier("buyer", 1), "", identifier("buyer", 1)],
        "producerId": [identifier("producer", 2), "", identifier("producer", 2)],
    }
    assert found.compared.legacy_id(2) == "9"
    assert found.compared.partition_keys() == []
    assert "2024/8" not in found.compared.shared
    assert found.outline.tops["2024"].number == 9


def test_of_parties_the_keys_are_kept_as_well(tmp_path: Path) -> None:
    path = tmp_path / "buyers.json"
    path.write_bytes(
        b"".join(
            orjson.dumps({"Item": item}) + b"\n"
            for item in (party("buyer", 1), party("buyer", 2) | {"city": {"S": 1}})
        )
    )
    found = outcome_of(path, "buyers")
    assert found.compared.partition_keys() == [f"BUYER#{identifier('buyer', 1)}", ""]
    assert found.identities == {1: f"BUYER#{identifier('buyer', 2)}"}
    assert found.compared.without({0}).partition_keys() == ["", ""]
    assert found.compared.without({0}).shared == ""


def test_an_outcome_survives_the_journal_unchanged(tmp_path: Path) -> None:
    bad = sale_record(8)
    bad[1].update(numbers(netAmount="32.630"))
    found = outcome_of(file_of(tmp_path, sale_record(7), bad))
    assert found.findings
    assert PieceFindings.of_json(orjson.loads(orjson.dumps(found.as_json()))) == found


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
