"""What an operator is told to type: written in one place, with the options in use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import ROOT
from utils.cli.closings import CLOSINGS
from utils.wording import invocation

CONFIG, KEY = Path("s9 test.json"), Path("key.txt")
# What names a command or an option that an operator types.
_TYPED = re.compile(
    r"migrate\.py|(?<![\w-])--(?:full|resume|restart|phase|dry-run|yes)\b|retry-quarantine"
)
# Who may be given such words: the place that writes commands, and click's own declarations.
# What a closing is said of may name commands; its words may not, which is looked at apart.
_MAY = {
    "command",
    "again",
    "for_real",
    "goes_on_with",
    "option",
    "UsageError",
    "setting",
    "_closing",
}
_WRITES_COMMANDS = "utils/wording/invocation.py"
_FOR_ELSEWHERE = "utils/job"  # what is typed there has no options of this machine


def test_every_command_has_the_options_that_name_files_before_its_own_words() -> None:
    invocation.set_up(["--full"], config=CONFIG, identity=KEY)
    assert invocation.command("rollback") == (
        "python migrate.py --config 's9 test.json' --identity key.txt rollback"
    )


@pytest.mark.parametrize(
    "typed",
    [
        ["--config", str(CONFIG), "restore", "b", "--identity", "other.txt", "--yes"],
        [f"--config={CONFIG}", "restore", "b", "--identity", "other.txt", "--yes"],
        ["restore", "b", "--identity", "other.txt", "--yes"],
    ],
)
def test_what_was_typed_is_typed_again(typed: list[str]) -> None:
    invocation.set_up(typed, config=CONFIG, identity=None)
    expected = "python migrate.py --config 's9 test.json' restore b --identity other.txt --yes"
    assert invocation.again() == invocation.again("--yes") == expected


def test_what_was_typed_is_typed_again_with_what_was_missing() -> None:
    invocation.set_up(["--identity", "wrong.txt", "clean"], config=None, identity=Path("wrong.txt"))
    assert invocation.again("--yes") == "python migrate.py --identity wrong.txt clean --yes"
    assert invocation.again_with_key() == "python migrate.py --identity FILE clean"


def test_a_run_is_gone_on_with() -> None:
    invocation.set_up(["--full", "--restart"], config=None, identity=None)
    invocation.goes_on_with("--resume")
    assert invocation.again() == "python migrate.py --resume"


def test_of_a_rehearsal_every_command_says_how_to_do_it_anew() -> None:
    invocation.set_up(["--dry-run"], config=None, identity=None)
    invocation.is_closed()
    invocation.goes_on_with("--resume")
    for options in ("--resume", "--phase transform", "retry-quarantine"):
        assert invocation.command(options) == "python migrate.py --dry-run"
    assert invocation.again() == "python migrate.py --dry-run"
    assert invocation.for_real("--full") == "python migrate.py --full"


@pytest.mark.parametrize(
    "source",
    [
        'remedy = "run again with --resume"',
        'remedy = f"start over: python migrate.py --full ({why})"',
        'log("%s: type --phase extract", what)',
    ],
)
def test_the_guard_finds_a_command_that_is_written_by_hand(source: str) -> None:
    assert list(_by_hand(ast.parse(source)))


def test_no_command_is_written_by_hand() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in _sources()
        if path != ROOT / _WRITES_COMMANDS and path.parent != ROOT / _FOR_ELSEWHERE
        for line, text in _by_hand(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "write it with utils.wording.invocation:\n" + "\n".join(found)


def test_no_closing_has_a_command_in_its_words() -> None:
    assert [name for name, each in CLOSINGS.items() if _TYPED.search(each.words)] == []


def _sources() -> Iterator[Path]:
    yield ROOT / "migrate.py"
    for package in ("extract", "transform", "validate", "load", "utils"):
        yield from sorted((ROOT / package).rglob("*.py"))


def _by_hand(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, but for docstrings, that name what is typed and are not given to who
    writes commands."""
    if isinstance(tree, ast.Call) and _name(tree.func) in _MAY:
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        if _TYPED.search(tree.value):
            yield tree.lineno, tree.value
        return
    for child in ast.iter_child_nodes(tree):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not is_docstring:
            yield from _by_hand(child)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
