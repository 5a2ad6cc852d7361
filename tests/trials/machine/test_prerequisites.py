"""Called with a Python that is too old, or that lacks packages, it says what to do (trial C29)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.support.places import ROOT
from utils import prerequisites

READ_BY_ANY = ("migrate.py", "utils/__init__.py", "utils/prerequisites.py")


@pytest.mark.parametrize("words", [["--full"], ["demo"], ["--help"]])
def test_without_its_packages_it_says_what_to_do(words: list[str]) -> None:
    command = [sys.executable, "-S", "-I", str(ROOT / "migrate.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.match(
        r"Error: .* lacks packages that this needs: .*click.* are missing\n", done.stderr
    )
    assert done.stderr.rstrip().endswith("pip install -r requirements.txt")
    assert "Traceback" not in done.stderr


def test_a_python_that_is_told_to_look_nowhere_itself_finds_the_tool() -> None:
    command = [sys.executable, "-P", str(ROOT / "migrate.py"), "--help"]
    if sys.version_info < (3, 11):
        command.remove("-P")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", READ_BY_ANY)
def test_an_old_python_can_read_what_tells_it_that_it_is_too_old(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 6))
    futures = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert not futures, "Python 3.6 does not know it"


def test_nothing_is_imported_before_it_is_known_to_be_there() -> None:
    """What stands before the question is of every Python."""
    body = ast.parse((ROOT / "migrate.py").read_text(encoding="utf-8")).body
    asked = next(
        n
        for n, node in enumerate(body)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "require"
    )
    names = {
        name
        for node in body[:asked]
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names == {"sys", "pathlib", "utils.prerequisites"}


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit) as left:
        prerequisites.require()
    assert "needs Python 3.10 or newer" in str(left.value)
    assert "is 3.9\nWhat to do: python3.10 -m venv" in str(left.value)


def test_every_package_of_the_requirements_is_looked_for() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    named = re.findall(r"^([A-Za-z0-9_-]+)==", text, re.M)
    assert sorted(named) == sorted(prerequisites.PACKAGES)
