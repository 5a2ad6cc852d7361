"""An upgrade between a stop and --resume mixes no rules (trial C19)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import SCRIPT, Operator, small_trade
from utils import version
from utils.version import VERSION, this_tool


@pytest.fixture
def stopped(alone: Operator, s9: S9Database) -> Operator:
    """An operator whose run has stopped before the load."""
    small_trade(s9)
    s9.execute("UPDATE msg SET total = 999 WHERE first_id = 10")
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform").ended(0)
    return alone


def began_with(operator: Operator, **tool: str) -> None:
    manifest = {**operator.manifest(), "tool": tool}
    (operator.data / "manifest.json").write_text(json.dumps(manifest))


def test_a_run_is_not_gone_on_with_by_another_version(stopped: Operator) -> None:
    assert stopped.manifest()["tool"] == this_tool()
    for tool in ({**this_tool(), "version": "0.9"}, {**this_tool(), "rules": "0" * 12}, {}):
        began_with(stopped, **tool)
        refused = stopped.run("--resume")
        refused.failed(2, "another version", VERSION, "--full --restart", "the version that began")
    began_with(stopped, **this_tool())
    stopped.run("--resume").ended(0)


def test_it_can_be_started_anew_and_is_this_versions_then(stopped: Operator) -> None:
    began_with(stopped, version="0.9", rules="0")
    stopped.run("--full", "--restart").ended(0)
    assert stopped.manifest()["tool"] == this_tool()


def test_reports_say_which_tool_wrote_them(after_a_run: Operator) -> None:
    for name in ("validation", "load", "verification"):
        assert after_a_run.report(name)["tool"] == this_tool()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tool's packages, whose rules are looked at from now on."""
    for name in ("extract", "transform", "validate", "utils"):
        shutil.copytree(
            SCRIPT.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("embedded")
        )
    monkeypatch.setattr(version, "files", tmp_path.joinpath)
    return tmp_path


def test_the_rules_are_others_when_their_code_is(copy: Path) -> None:
    digest = version.rules.__wrapped__
    assert digest() == version.rules()
    (copy / "utils" / "cli" / "text_table.py").write_text("# other words")
    assert digest() == version.rules()
    (copy / "transform" / "values" / "money.py").write_text("# another rounding")
    assert digest() != version.rules()


@pytest.mark.parametrize(
    "path",
    [
        "utils/entities.py",
        "utils/item_schemas.py",
        "utils/sale_numbering.py",
        *(
            f"utils/schemas/{path.name}"
            for path in sorted((SCRIPT.parent / "utils/schemas").glob("*.json"))
        ),
    ],
)
def test_the_rules_are_others_when_what_is_declared_of_an_item_is(copy: Path, path: str) -> None:
    (copy / path).write_text("{}")
    assert version.rules.__wrapped__() != version.rules()


def test_the_version_is_told() -> None:
    told = subprocess.run(
        [sys.executable, str(SCRIPT), "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"migrate.py {VERSION}\n"
