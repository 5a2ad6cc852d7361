"""The gate tells, moves and records the same, byte for byte, however a file is cut into parts and
whoever has done which: dirty files by seeds, beside the gate that takes a file whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet.fleet_here import FleetHere
from tests.unit.validate.gate.dirty_trade import DirtyTrade, told_by
from utils.checkpoint import CheckpointFile
from utils.error_handler import StorageError
from utils.files import pieces, spill
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted
from utils.run.clean import Wish, look
from utils.run.run import Run
from validate.gate import parts, references
from validate.gate.part import CheckedPart, CheckPass
from validate.validate_data import validate

SEEDS = 40
SMALL_PIECE = 3_000


def in_one_part(trade: DirtyTrade, root: Path) -> Mapping[str, bytes]:
    trade.write(root)
    with trade.run(root) as run:
        return told_by(run, validate(run, trade.entities))


def cut_small(patch: pytest.MonkeyPatch) -> None:
    assert pieces.places.__kwdefaults__ is not None
    patch.setitem(pieces.places.__kwdefaults__, "target", SMALL_PIECE)
    patch.setattr(spill, "_RUN_BYTES", 2_000)
    patch.setattr(spill, "_TOGETHER_BYTES", 500)
    patch.setattr(references, "_REMEMBERED", 20)


def by_a_fleet(run: Run, seed: int) -> FleetHere:
    fleet = FleetHere(seed)
    run.engine._fleet = fleet
    return fleet


@pytest.mark.parametrize("seed", range(SEEDS))
def test_by_parts_every_byte_is_that_of_a_file_taken_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    trade = DirtyTrade(seed)
    whole = in_one_part(trade, tmp_path / "whole")
    cut_small(monkeypatch)
    assert in_one_part(trade, tmp_path / "here") == whole
    trade.write(tmp_path / "fleet")
    with trade.run(tmp_path / "fleet", parts=2 + seed % 9) as run:
        fleet = by_a_fleet(run, seed)
        assert told_by(run, validate(run, trade.entities)) == whole
    assert {"CheckPass"} <= {*fleet.done}
    for root in ("here", "fleet"):
        assert not list((tmp_path / root).glob(".journal-*"))
        assert not list((tmp_path / root / ".scratch").iterdir())


def test_what_is_compared_is_the_fleets_and_the_trades_are_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the seeds hold something to account."""
    cut_small(monkeypatch)
    done, found = set[str](), b""
    for seed in range(SEEDS):
        trade = DirtyTrade(seed)
        trade.write(tmp_path / str(seed))
        with trade.run(tmp_path / str(seed), parts=7) as run:
            fleet = by_a_fleet(run, seed)
            found += told_by(run, validate(run, trade.entities))["findings"]
        done |= {*fleet.done}
    assert done == {"CheckPass", "MissingPass", "DanglingPass", "SharedPass", "KeysPass"}
    for told in (
        *('"duplicate-key"', '"duplicate-code"', '"duplicate-vat-number"'),
        *('"duplicate-sale-number"', '"numbering-index"', '"numbering-order"', '"reference"'),
        *('"why":"refused"', '"why":"not-selected"', '"why":"copied"', '"reason":"disabled'),
        *('"reason":"of nobody"', '"reason":"unknown-status"', '"reason":"attribute-missing"'),
    ):
        assert told.encode() in found, told


def stopped(
    trade: DirtyTrade,
    root: Path,
    stops: Callable[[Run, FleetHere], None],
    ended_by: type[BaseException],
) -> None:
    trade.write(root)
    with trade.run(root, parts=6) as run, pytest.raises(ended_by):
        stops(run, by_a_fleet(run, 1))
        validate(run, trade.entities)


def resumed(trade: DirtyTrade, root: Path) -> tuple[Mapping[str, bytes], FleetHere]:
    with trade.run(root, parts=6) as run:
        fleet = by_a_fleet(run, 2)
        run.resuming = True
        return told_by(run, validate(run, trade.entities)), fleet


@pytest.fixture
def trade() -> DirtyTrade:
    trade = DirtyTrade(3)
    trade.entities = ("sales",)
    trade.settings = dict.fromkeys(trade.settings, True) | {"strict_mode": False}
    return trade


@pytest.mark.parametrize("after", [1, 4, 6])
def test_a_gate_that_was_stopped_goes_on_with_the_parts_that_are_missing(
    tmp_path: Path, trade: DirtyTrade, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = in_one_part(trade, tmp_path / "whole")
    call = CheckPass.__call__

    def stops(run: Run, fleet: FleetHere) -> None:
        def counted(self: CheckPass, part: Any) -> CheckedPart:
            if fleet.done.count("CheckPass") == after - 1:
                run.stop.request()
            return call(self, part)

        monkeypatch.setattr(CheckPass, "__call__", counted)

    stopped(trade, tmp_path / "stopped", stops, Interrupted)
    monkeypatch.setattr(CheckPass, "__call__", call)
    told, fleet = resumed(trade, tmp_path / "stopped")
    assert told == whole
    assert fleet.done.count("CheckPass") <= 6 - after + 1
    assert not list((tmp_path / "stopped").glob(".journal-*"))


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("spoilt", ["nothing", "a file is gone", "a file is cut", "another cut"])
def test_a_gate_that_was_killed_comparing_checks_only_what_it_has_lost(
    tmp_path: Path, trade: DirtyTrade, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    whole = in_one_part(trade, tmp_path / "whole")
    root = tmp_path / "killed"

    def kills(*_: Any) -> None:
        raise Killed

    def stops(*_: Any) -> None:
        monkeypatch.setattr("validate.gate.entity_gate.MissingPass", kills)

    stopped(trade, root, stops, Killed)
    monkeypatch.undo()
    known = look(Workspace(root), root / "backups", Wish()).files.values()
    assert {*(root / ".journal-sales").iterdir()} <= {path for paths in known for path in paths}
    saved = CheckpointFile(Workspace(root).checkpoint).load()
    assert saved is not None
    file = Path(CheckedPart.of_text(saved.state["made"]["3"]).files[0].path)
    if spoilt == "a file is gone":
        file.unlink()
    elif spoilt == "a file is cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif spoilt == "another cut":
        monkeypatch.setattr(parts.Hands, "_wanted", 5)
    told, fleet = resumed(trade, root)
    assert told == whole
    expected = {"nothing": 0, "another cut": 5}.get(spoilt, 1)
    assert fleet.done.count("CheckPass") == expected


def test_files_elsewhere_are_not_taken_for_parts(
    tmp_path: Path, trade: DirtyTrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data directory that was moved: its checkpoint names files of another one."""
    stopped(
        trade,
        tmp_path / "first",
        lambda *_: monkeypatch.setattr(
            "validate.gate.entity_gate.SharedPass", lambda *_: (_ for _ in ()).throw(Killed)
        ),
        Killed,
    )
    monkeypatch.undo()
    (tmp_path / "first").rename(tmp_path / "moved")
    told, fleet = resumed(trade, tmp_path / "moved")
    assert fleet.done.count("CheckPass") == 6
    assert told == in_one_part(trade, tmp_path / "whole")


def test_nothing_is_left_behind_a_link(tmp_path: Path, trade: DirtyTrade) -> None:
    root, mine = tmp_path / "data", tmp_path / "mine"
    trade.write(root)
    mine.mkdir()
    (root / ".journal-sales").symlink_to(mine)
    with trade.run(root) as run, pytest.raises(StorageError, match="a symbolic link"):
        validate(run, trade.entities)
    assert list(mine.iterdir()) == []
