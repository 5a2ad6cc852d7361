"""A13: the next sale number is that after the year's highest, whatever S9's dates are like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.content import content_of
from tests.support.records.numbered import Row, check, extracted, found, transformed
from tests.support.records.numbering import headers, left_out, wrong_answers
from tests.support.records.rows import line_row, sale_row
from transform import engine
from utils.files import pieces
from utils.files.artifacts import ArtifactWriter
from utils.interrupt import Interrupted
from validate.validate_data import validate

HISTORIES = 30


def sold(key: int, day: str, **changes: Any) -> Row:
    return sale_row(
        **{
            "first_id": key,
            "sale_number": key,
            "sale_date": day,
            "lines": [line_row(key)],
            **changes,
        }
    )


def in_index(items: Sequence[Any]) -> set[str]:
    return {item["legacyId"]["S"] for item in items if "GSI4PK" in item}


@pytest.mark.parametrize(
    ("sales", "there"),
    [
        ([sold(7, "2025-11-10"), sold(8, "2025-11-05")], {"8"}),
        ([sold(n, "2025-11-10") for n in range(1, 9)], {"8"}),
        ([sold(901, "2026-01-02", year=2025)], set()),
        ([sold(900, "2025-12-30"), sold(901, "2026-01-02", year=2025), sold(1, "2026-01-03")],
         {"900", "1"}),
        ([sold(1, "2025-01-01"), sold(2, "2025-01-02"), sold(3, "2025-01-03")], {"1", "2", "3"}),
        ([sold(5, "2025-03-01"), sold(6, "2025-02-01", sale_number=5)], {"5", "6"}),
        ([sold(9, "2025-03-01", doc_type="proforma"), sold(8, "2025-01-01")], {"8"}),
        ([sold(9, "2025-03-01", status="annullata"), sold(8, "2025-01-01")], {"8"}),
        ([sold(9, "2025-03-01", status="sospeso"), sold(8, "2025-01-01")], {"8"}),
    ],
)  # fmt: skip
def test_the_highest_number_of_the_year_answers(
    tmp_path: Path, sales: list[Row], there: set[str]
) -> None:
    with extracted(tmp_path, sales) as run:
        items = transformed(run)
        assert in_index(items) == there
        assert list(wrong_answers(items)) == []
        assert validate(run).passed
        assert found(run, "numbering-order") == left_out(items)
        assert found(run, "numbering-index") == set()


def test_what_stays_out_is_named_once_with_both_numbers(tmp_path: Path) -> None:
    with extracted(tmp_path, [sold(7, "2025-11-10"), sold(8, "2025-11-05")]) as run:
        transformed(run)
        validate(run)
        report = orjson.loads(run.workspace.report("validation").read_bytes())
    (named,) = (each for each in report["findings"] if each["rule"] == "numbering-order")
    assert (named["legacyId"], named["severity"]) == ("7", "warning")
    assert "number 7 is dated 2025-11-10" in named["message"]


def test_a_last_sale_that_the_gate_refuses_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    """Of 1 (1 Nov), 2 (3 Nov), 3 (2 Nov) and 4 (1 Nov), 4 is the last one until it is refused."""
    sales = [
        *(sold(1, "2025-11-01"), sold(2, "2025-11-03"), sold(3, "2025-11-02")),
        sold(4, "2025-11-01", notes="x" * 1_200),
    ]
    with extracted(tmp_path, sales) as run:
        assert in_index(transformed(run)) == {"4"}
        validate(run)
        items = headers(run.workspace.transformed("sales"))
        assert in_index(items) == {"1", "3"}
        assert found(run, "numbering-order") == {"2"}
        assert found(run, "numbering-index") == set()


@pytest.mark.parametrize("spoil", ["take away", "put in", "both of a tie"])
def test_the_gate_sees_what_a_wrong_numbering_would_do(tmp_path: Path, spoil: str) -> None:
    """The gate has its own word on the rule."""
    day = "2025-11-10" if spoil != "both of a tie" else "2025-11-05"
    number = 7 if spoil != "both of a tie" else 8
    with extracted(tmp_path, [sold(7, day, sale_number=number), sold(8, "2025-11-05")]) as run:
        transformed(run)
        path = run.workspace.transformed("sales")
        lines = content_of(path).splitlines(keepends=True)
        keys = b'"GSI4PK":{"S":"SALE"},"GSI4SK":{"S":"%b"},'
        for number, line in enumerate(lines):
            plain = line.replace(keys % b"2025-11-05", b"").replace(keys % b"2025-11-10", b"")
            if spoil == "take away":
                lines[number] = plain
            elif b"METADATA" in line:
                date = day.encode() if b'"legacyId":{"S":"7"}' in line else b"2025-11-05"
                lines[number] = plain.replace(b'"saleId":', keys % date + b'"saleId":', 1)
        with ArtifactWriter(path) as writer:
            writer.write(b"".join(lines), records=2, items=4)
            run.publish(path, writer.commit())
        validate(run)
        assert len(found(run, "numbering-index")) == 1


def test_lines_whose_sale_stays_where_it_is_keep_every_byte(tmp_path: Path) -> None:
    sales = [sold(n, f"2025-11-{n:02}", status="pagato") for n in range(1, 9)]
    alone: dict[bytes, bytes] = {}
    for row in sales:
        with extracted(tmp_path / str(row["first_id"]), [row]) as run:
            transformed(run)
            data = content_of(run.workspace.transformed("sales"))
        alone |= {line.partition(b'"SK"')[0]: line for line in data.splitlines()}
    with extracted(tmp_path / "all", [*sales, sold(9, "2025-11-01")]) as run:
        transformed(run)
        together = content_of(run.workspace.transformed("sales")).splitlines()
    kept = [line for line in together if alone.get(line.partition(b'"SK"')[0]) == line]
    headers_out = sum(b"METADATA" in line for line in together) - 1
    assert len(kept) == len(sales)  # every line; of the headers none: all are after 9's day
    assert headers_out == len(sales)


def test_random_sales_are_numbered_as_the_rule_says_and_the_api_is_never_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small pieces: what belongs together is in several of them."""
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", 1_500)
    for seed in range(HISTORIES):
        check(tmp_path / str(seed), seed)


def test_several_processes_number_as_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [sold(n, f"2025-{1 + n % 12:02}-10") for n in range(1, 200)]
    outcomes = []
    for processes in (1, 3):
        with extracted(tmp_path / str(processes), rows, processes) as run:
            transformed(run)
            outcomes.append(content_of(run.workspace.transformed("sales")))
        assert pieces.places.__kwdefaults__ is not None
        monkeypatch.setitem(pieces.places.__kwdefaults__, "target", 9_000)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("target", [1_500, 1 << 19])
def test_stopped_while_it_numbers_the_transform_goes_on_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: int
) -> None:
    """After the first of many pieces, or after the only one."""
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", target)
    rows = [sold(31 - n, "2025-11-10", first_id=n) for n in range(1, 30)]
    with extracted(tmp_path / "whole", rows) as run:
        transformed(run)
        expected = content_of(run.workspace.transformed("sales"))
    with extracted(tmp_path / "stopped", rows) as run:
        engine.transform(run, "buyers")
        run.stop.request()
        with pytest.raises(Interrupted):
            engine.transform(run, "sales")
        assert not run.workspace.transformed("sales").exists()
    with extracted(tmp_path / "stopped", rows) as run:
        run.resuming = True
        transformed(run)
        assert content_of(run.workspace.transformed("sales")) == expected
        left = [path.name for path in run.workspace.root.glob(".unnumbered*")]
    assert left == []
