"""Arrows point one way: migrate.py -> {extract, transform, load, validate} -> utils."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import load.sender
import migrate
import transform.engine
import validate.entity_gate
import validate.verify_pieces

ROOT = Path(__file__).parents[2]
PHASES = ("extract", "transform", "load", "validate")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def packages_used_by(folder: str) -> set[str]:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    return {name.partition(".")[0] for path in files for name in imports_of(path)}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_imports_no_other_phase_and_not_the_runbook(phase: str) -> None:
    forbidden = {*PHASES, "migrate", "tests"} - {phase}
    assert not packages_used_by(phase) & forbidden


def test_the_ground_floor_imports_no_phase() -> None:
    assert not packages_used_by("utils") & {*PHASES, "migrate", "tests"}


def test_click_stops_at_the_edge() -> None:
    """Commands are in files of their own beside the work, which does not know of them."""
    for path in (path for folder in (*PHASES, "utils") for path in (ROOT / folder).rglob("*.py")):
        edge = path.name == "command_line.py" or path.stem.endswith("_command")
        assert edge or not {"click", "utils.command_line"} & set(imports_of(path)), path


def test_processes_of_a_whole_run_import_what_they_are_going_to_do() -> None:
    work = (
        transform.engine.transform_piece,
        validate.entity_gate.EntityGate,
        load.sender.in_a_process,
        validate.verify_pieces.TablePass,
    )
    assert tuple(each.__module__ for each in work) == migrate.SHARED_WORK
