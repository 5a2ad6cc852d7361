"""Arrows point one way: migrate.py -> {extract, transform, load, validate} -> utils, and between
the packages of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import load.sending.sender
import migrate
import transform.pieces.piece
import validate.gate.entity_gate
import validate.verify.passes
from tests.support.places import ROOT
from utils.entities import ENTITY_NAMES

PHASES = ("extract", "transform", "load", "validate")


TESTS = ("unit", "integration", "scenarios", "trials", "support", "torture", "bench")
MOST_FILES = 13  # a reader sees at a glance what a room holds


def modules_of(*folders: str) -> dict[str, Path]:
    """The modules below some top folders, by dotted name."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert paths
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it: modules, and names out of modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def packages_used_by(folder: str) -> set[str]:
    return {
        name.partition(".")[0] for path in modules_of(folder).values() for name in imports_of(path)
    }


def room_of(module: str, path: Path) -> str:
    """The package that a module lives in; a module right in a top folder is a room of its own."""
    deep = len(path.relative_to(ROOT).parts) > 2
    return ".".join(path.relative_to(ROOT).parts[:-1]) if deep else module


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_imports_no_other_phase_and_not_the_runbook(phase: str) -> None:
    forbidden = {*PHASES, "migrate", "tests"} - {phase}
    assert not packages_used_by(phase) & forbidden


def test_the_ground_floor_imports_no_phase() -> None:
    assert not packages_used_by("utils") & {*PHASES, "migrate", "tests"}


# What others know these by: their names stay, whatever is done inside.
NAMES_THAT_STAY = (
    "migrate.py",
    "config.json.example",
    "requirements.txt",
    "README.md",
    *(f"{phase}/{phase}_{entity}.py" for phase in PHASES[:3] for entity in ENTITY_NAMES),
    "validate/validate_data.py",
    "validate/compare_counts.py",
    *(
        f"utils/{name}.py"
        for name in ("config", "logger", "progress", "error_handler", "checkpoint")
    ),
)


def test_names_that_others_rely_on_are_there() -> None:
    assert [name for name in NAMES_THAT_STAY if not (ROOT / name).is_file()] == []


def test_no_room_is_crowded() -> None:
    crowded = {
        folder.relative_to(ROOT).as_posix(): count
        for top in (*PHASES, "utils", *(f"tests/{name}" for name in TESTS))
        for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]
        if (count := len([path for path in folder.glob("*.py") if path.name != "__init__.py"]))
        > MOST_FILES
    }
    assert crowded == {}


def test_unit_tests_are_in_the_folders_of_the_packages() -> None:
    unit = ROOT / "tests" / "unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (ROOT / folder).is_dir()] == []


def test_no_test_module_takes_from_another() -> None:
    """What two of them need is in tests/support."""
    takes = {
        name: [used for used in imports_of(path) if ".test_" in used]
        for name, path in modules_of("tests").items()
    }
    assert {name: used for name, used in takes.items() if used} == {}


def test_rooms_need_each_other_one_way() -> None:
    """No package needs another that needs it, by whatever way."""
    modules = modules_of(*PHASES, "utils")
    rooms = {module: room_of(module, path) for module, path in modules.items()}
    needs: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for module, path in modules.items():
        used = {rooms[name] for name in imports_of(path) if name in rooms}
        needs[rooms[module]] |= used - {rooms[module]}
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


def test_modules_need_each_other_one_way() -> None:
    modules = modules_of(*PHASES, "utils")
    TopologicalSorter(
        {module: {*imports_of(path)} & {*modules} - {module} for module, path in modules.items()}
    ).prepare()


def test_click_stops_at_the_edge() -> None:
    """Commands are in files of their own beside the work, which does not know of them."""
    for path in modules_of(*PHASES, "utils").values():
        parses = path.name in ("command_line.py", "choice.py")
        edge = parses or path.stem.endswith("_command")
        assert edge or not {"click", "utils.cli.command_line"} & set(imports_of(path)), path


def test_processes_of_a_whole_run_import_what_they_are_going_to_do() -> None:
    work = (
        transform.pieces.piece.transform_piece,
        validate.gate.entity_gate.EntityGate,
        load.sending.sender.in_a_process,
        validate.verify.passes.TablePass,
    )
    assert tuple(each.__module__ for each in work) == migrate.SHARED_WORK
