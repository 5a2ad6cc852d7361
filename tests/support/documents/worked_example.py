"""A worked example of a page: the tool is copied, what the page says is done to the copy, and it
is run there.

A block after `<!-- example: PATH -->` is a new file of that name. One in `diff` is an edit: each of
its hunks (a line `…` is between them) stands once in the file with its lines `-` and ` `, and
afterwards with its lines `+` and ` `. One in `bash` is typed in the copy's directory.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.operators.operator import environment
from tests.support.places import ROOT

# A verification that finds something missing looks for it for thirteen seconds.
_PATIENT = "_INDEX_RETRIES, _INDEX_DELAY = 6, 0.2"
COPIED = ("extract", "transform", "load", "validate", "utils", "tests", "docs")
FILES = ("migrate.py", "config.json.example", *(path.name for path in ROOT.glob("*.md")))
_BLOCK = re.compile(r"<!-- example: (\S+) -->\n```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What a page says of a file: its kind (the word after the fence) and the text."""

    path: str
    kind: str
    text: str


def blocks_of(page: str) -> dict[str, Block]:
    """The example blocks of a page, by the names that they have there."""
    found = _BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    blocks = {path: Block(path, kind, text) for path, kind, text in found}
    assert len(blocks) == len(found), "two blocks of one name"
    return blocks


@dataclass(frozen=True)
class ToolCopy:
    """A copy of the tool in a directory of its own; `variables` are those of its environment."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def into(cls, directory: Path) -> ToolCopy:
        for package in COPIED:
            shutil.copytree(ROOT / package, directory / package)  # with what is compiled
        for name in FILES:
            shutil.copy(ROOT / name, directory)
        shutil.copytree(ROOT / ".ci", directory / ".ci")
        return cls(directory)

    def hurry(self) -> None:
        """Let a verification look again at once for what it does not find."""
        engine = self.root / "validate" / "verify" / "engine.py"
        text = engine.read_text(encoding="utf-8")
        assert text.count(_PATIENT) == 1
        engine.write_text(
            text.replace(_PATIENT, _PATIENT.replace("0.2", "0.002")), encoding="utf-8"
        )

    def apply(self, blocks: Iterable[Block]) -> None:
        """Do what a page says."""
        for block in blocks:
            path = self.root / block.path
            if block.kind == "diff":
                edit(path, block.text)
            elif block.kind == "bash":
                self._type(block.text)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")

    def _type(self, commands: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = {**environment(self.root / "home"), "PATH": path}
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=self.root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, code: int, *arguments: str, timeout: int = 120) -> str:
        """Run Python on something in the copy; returns what it says, and asserts its exit code."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment(self.root / "home", **self.variables),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def test(self, *paths: str, code: int = 0) -> str:
        """Run tests of the copy."""
        pytest = ("-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=.", "-q")
        return self.run(code, *pytest, "-p", "no:cacheprovider", *paths)


def edit(path: Path, diff: str) -> None:
    """Apply the hunks of a diff to a file."""
    text = path.read_text(encoding="utf-8")
    for hunk in re.split(r"^…\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        assert text.count(before) == 1, (
            f"{path.name} has this {text.count(before)} times:\n{before}"
        )
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
