"""Transform and validate write the same bytes, however many processes share the work, and wherever
the gate is stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.extracted import run_over
from tests.support.records.rows import buyer_row, line_row, party_copy, producer_row, sale_row
from transform import engine
from utils.files import pieces
from utils.interrupt import Interrupted
from utils.run.run import Run
from validate.gate.part import CheckedPart, CheckPass
from validate.validate_data import validate

SALES, PARTIES = 60, 12
SMALL_CHUNK = 4_000


def _sale(number: int) -> dict[str, Any]:
    """A sale that is clean, doubtful, refused by the transform or refused by the gate."""
    lines = [
        line_row(
            number * 10 + place,
            line_number=place,
            product_description=("Vite è", None, "NUL\0 e \t", 'dado "M8"')[place % 4],
            quantity=("1.500", "0", None)[number % 3],
            discount_amount=("0.00", "7.77")[number % 2],
        )
        for place in range(1, 1 + number % 5)
    ]
    return sale_row(
        first_id=number,
        sale_number=number % 50,
        buyer_id=1 + number % (PARTIES + 1),  # one of them is no party
        producer_id=1 + number % PARTIES,
        status="???" if number % 17 == 0 else "confermato",
        iva_percentage="120" if number % 19 == 0 else "22.00",
        notes="x" * 1_200 if number % 23 == 0 else None,
        buyer=party_copy(country="ITA"),
        lines=lines,
    )


ROWS = {
    "buyers": [buyer_row(first_id=n, code=f"C{n // 2}") for n in range(1, PARTIES + 1)],
    "producers": [producer_row(first_id=n, pec="?") for n in range(1, PARTIES + 1)],
    "sales": [_sale(n) for n in range(1, SALES + 1)],
}


def _outcome(root: Path, processes: int) -> dict[str, bytes]:
    """The bytes of everything that the two phases write, without clocks and run ids."""
    with run_over(root, ROWS, processes) as run:
        for entity in ROWS:
            engine.transform(run, entity)
        first = {entity: run.workspace.transformed(entity).read_bytes() for entity in ROWS}
        validate(run)
        files = run.workspace
        found = {
            **first,
            **{f"kept {name}": files.transformed(name).read_bytes() for name in ROWS},
            **{f"refused {name}": files.quarantine(name).read_bytes() for name in ROWS},
            "findings": (files.reports / "validation_findings.jsonl").read_bytes(),
            "table": files.findings.read_bytes(),
            "applied": orjson.dumps(
                [run.manifest.phases["transform"][name].result["applied"] for name in ROWS]
            ),
        }
        report = orjson.loads(files.report("validation").read_bytes())
    found["report"] = orjson.dumps({**report, "runId": "", "at": ""})
    return found


def test_every_byte_is_the_same_for_one_process_and_for_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = _outcome(tmp_path / "alone", 1)
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", SMALL_CHUNK)
    together = _outcome(tmp_path / "together", 3)
    assert {name: len(data) for name, data in together.items()} == {
        name: len(data) for name, data in alone.items()
    }
    assert together == alone
    assert alone["sales"].count(b"\n") > len(ROWS["sales"])
    assert alone["refused sales"].count(b'"phase":"transform"') >= SALES // 17
    assert alone["refused sales"].count(b'"phase":"validate"') > 3
    assert b"duplicate-code" in alone["findings"]


def _judged(root: Path, stops: Callable[[Run], None] | None = None) -> dict[str, bytes]:
    """What the gate reports where nothing is moved to quarantine; once it is stopped before, if
    there is what `stops` it."""
    for stopping in (stops, None) if stops else (None,):
        with run_over(root, ROWS) as run:
            migration = replace(run.config.migration, continue_on_error=False)
            run.config = replace(run.config, migration=migration)
            run.resuming = stops is not None and stopping is None
            for entity in ROWS:
                engine.transform(run, entity)
            if stopping is not None:
                stopping(run)
                with pytest.raises(Interrupted):
                    validate(run)
                continue
            validate(run)
            files = run.workspace
            report = orjson.loads(files.report("validation").read_bytes())
            found = (files.reports / "validation_findings.jsonl").read_bytes()
    return {"findings": found, "report": orjson.dumps({**report, "runId": "", "at": ""})}


@pytest.mark.parametrize("parts_before", [1, 2, 5, 9, 14])
def test_every_byte_is_the_same_for_a_gate_that_is_stopped_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts_before: int
) -> None:
    checked: list[int] = []
    check, at_stop = CheckPass.__call__, list[int]()

    def checks(self: CheckPass, part: tuple[int, pieces.ByteRange]) -> CheckedPart:
        if self.entity == "sales":
            checked.append(part[0])
        return check(self, part)

    def stops(run: Run) -> None:
        leave = run.stop.leave_if_asked

        def leaves() -> None:
            if len(checked) == parts_before:
                run.stop.request()
                at_stop.extend(checked)
            leave()

        monkeypatch.setattr(run.stop, "leave_if_asked", leaves)

    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", 6_000)
    whole = _judged(tmp_path / "whole")
    monkeypatch.setattr(CheckPass, "__call__", checks)
    assert _judged(tmp_path / "stopped", stops) == whole
    assert at_stop == list(range(parts_before))
    assert checked == list(range(len(checked)))  # none of them twice
    assert len(checked) > parts_before
    for rule in (b'"reference"', b'"duplicate-sale-number"', b'"numbering-order"'):
        assert rule in whole["findings"]
