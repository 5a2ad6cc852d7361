"""docs/layouts.md: its example is a layout that can be added and migrated, as the page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.documents.worked_example import ToolCopy, blocks_of
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

BLOCKS = blocks_of("layouts.md")
STEPS = ("extract/layouts/corner_shop.py", "transform/layouts/corner_shop.py", "utils/config.py")
EXAMPLES = {path: block.text for path, block in BLOCKS.items()}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> ToolCopy:
    """A copy of the tool with the layout of the page added, by the steps of the page."""
    copy = ToolCopy.into(tmp_path_factory.mktemp("tool"))
    copy.apply(BLOCKS[path] for path in STEPS)
    return copy


@pytest.fixture(scope="module")
def migrated(tool: ToolCopy, postgres: EmbeddedPostgres, aws: EmbeddedAws) -> Path:
    """The data directory of the shop's migration."""
    postgres.create_database("shop")
    connection = postgres.connect("shop")
    with connection, connection.cursor() as cursor:
        cursor.execute(EXAMPLES["shop.sql"])
    connection.close()
    tool.apply([BLOCKS["config.json"]])
    tool.variables.update(
        S9_HOST=postgres.host,
        S9_PORT=str(postgres.port),
        S9_NAME="shop",
        S9_USER=postgres.reader,
        S9_PASSWORD=postgres.reader_password,
        AWS_URL=aws.endpoint_url,
    )
    tool.run(5, "migrate.py", "--full")
    return tool.root / "data"


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


def test_what_must_hold_of_every_layout_holds_of_the_one_on_the_page(tool: ToolCopy) -> None:
    tool.test("tests/unit/test_layouts.py")


@pytest.mark.parametrize("half", ["extract", "transform"])
def test_the_code_of_the_page_is_as_clean_as_the_tool(half: str, tool: ToolCopy) -> None:
    ruff = ("-m", "ruff", "check", "--no-cache", "--config", ".ci/ruff.toml")
    tool.run(0, *ruff, f"{half}/layouts/corner_shop.py")
