"""docs/layouts.md: its example is a layout that can be added and migrated, as the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.operators.operator import environment
from tests.support.places import ROOT
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

PACKAGES = ("extract", "transform", "load", "validate", "utils", "tests")
_EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
EXAMPLES = dict(_EXAMPLE.findall((ROOT / "docs" / "layouts.md").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tool with the layout of the page added, by the steps of the page."""
    copy = tmp_path_factory.mktemp("tool")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "migrate.py", copy)
    for name in ("extract/layouts/corner_shop.py", "transform/layouts/corner_shop.py"):
        (copy / name).write_text(EXAMPLES[name], encoding="utf-8")
    config = copy / "utils" / "config.py"
    before, after = (line[1:] for line in EXAMPLES["utils/config.py"].splitlines())
    text = config.read_text(encoding="utf-8")
    assert text.count(f"{before}\n") == 1
    config.write_text(text.replace(before, after), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def migrated(tool: Path, postgres: EmbeddedPostgres, aws: EmbeddedAws) -> Path:
    """The data directory of the shop's migration."""
    postgres.create_database("shop")
    connection = postgres.connect("shop")
    with connection, connection.cursor() as cursor:
        cursor.execute(EXAMPLES["shop.sql"])
    connection.close()
    (tool / "config.json").write_text(EXAMPLES["config.json"], encoding="utf-8")
    where = {
        "S9_HOST": postgres.host,
        "S9_PORT": str(postgres.port),
        "S9_NAME": "shop",
        "S9_USER": postgres.reader,
        "S9_PASSWORD": postgres.reader_password,
        "AWS_URL": aws.endpoint_url,
    }
    run(tool, 5, "migrate.py", "--full", **where)
    return tool / "data"


def run(tool: Path, code: int, *arguments: str, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tool,
        env=environment(tool / "home", **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr


def report(data: Path, name: str) -> Any:
    return orjson.loads((data / "reports" / f"{name}_report.json").read_bytes())


def test_everything_of_the_shop_arrives_but_what_the_page_says(migrated: Path) -> None:
    verified = report(migrated, "verification")
    assert verified["passed"]
    counts = verified["counts"]
    assert counts["buyers"]["target"]["records"] == 2
    assert counts["producers"]["target"]["records"] == 1
    assert counts["sales"]["target"] == {"records": 1, "items": 2}
    for entity, field in (("buyers", "country"), ("sales", "buyer.country")):
        lines = (migrated / "quarantine" / f"{entity}.json").read_bytes().splitlines()
        (refused,) = map(orjson.loads, lines)
        assert (refused["field"], refused["reason"]) == (field, EXAMPLES["nemo"].strip())


def test_the_items_are_those_that_the_page_shows(migrated: Path) -> None:
    lines = (migrated / "transformed" / "buyers.json").read_bytes().splitlines()
    shown = json.loads(EXAMPLES["buyer"])
    item = orjson.loads(lines[0])["Item"]
    assert {name: item[name] for name in shown} == shown
    assert [orjson.loads(line)["Item"]["status"]["S"] for line in lines] == ["active", "inactive"]
    sale, line = map(orjson.loads, (migrated / "transformed" / "sales.json").open("rb"))
    assert sale["Item"]["saleDate"] == {"S": "2024-03-05"}
    assert sale["Item"]["status"] == {"S": "invoiced"}
    assert sale["Item"]["subtotal"] == line["Item"]["netAmount"] == {"N": "29"}
    assert sale["Item"]["legacy"] == {"M": {"gift_wrap": {"BOOL": True}}}


def test_the_mapping_report_is_the_one_that_the_page_shows(migrated: Path) -> None:
    entities = report(migrated, "mapping")["entities"]
    assert entities["sales"]["orders"]["columns"] == json.loads(EXAMPLES["mapping"])


def test_what_must_hold_of_every_layout_holds_of_the_one_on_the_page(tool: Path) -> None:
    tests = ("-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=.", "-q")
    run(tool, 0, *tests, "-p", "no:cacheprovider", "tests/unit/test_layouts.py")


@pytest.mark.parametrize("half", ["extract", "transform"])
def test_the_code_of_the_page_is_as_clean_as_the_tool(half: str, tool: Path) -> None:
    shutil.copytree(ROOT / ".ci", tool / ".ci", dirs_exist_ok=True)
    ruff = (Path(sys.executable).parent / "ruff", "check", "--config", ".ci/ruff.toml")
    done = subprocess.run(
        [*ruff, f"{half}/layouts/corner_shop.py"],
        cwd=tool,
        env={**os.environ, "RUFF_NO_CACHE": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
