"""What DynamoDB refuses for the key of a further index is foretold before the load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from load.entities import TABLES
from load.target.refused_keys import obstacles_of_indexes
from utils.config import Config, MigrationConfig
from utils.error_handler import ExitCode
from utils.files.artifacts import ArtifactEntry
from utils.files.line_marks import SAME, LineMarks
from utils.files.workspace import Workspace
from utils.plan.verdict import Stage
from utils.run.manifest import Manifest
from utils.run.run import Run

BUYERS = TABLES["buyers"]
BY_CITY = {
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "ByCity",
            "KeySchema": [
                {"AttributeName": "country", "KeyType": "HASH"},
                {"AttributeName": "city", "KeyType": "RANGE"},
            ],
        }
    ]
}


def line_of(number: int, city: str) -> bytes:
    item = {
        "PK": {"S": f"BUYER#{number:036}"},
        "SK": {"S": "METADATA"},
        "legacyId": {"S": str(number)},
        "country": {"S": "IT"},
        "city": {"S": city},
    }
    return orjson.dumps({"Item": item}) + b"\n"


def run_with(root: Path, *cities: str, tolerant: bool, there: int = 0) -> Run:
    """A run that is about to load buyers of these cities, of which the first few are there."""
    files = Workspace(root)
    files.prepare()
    lines = [line_of(number, city) for number, city in enumerate(cities, 1)]
    content = b"".join(lines)
    files.transformed("buyers").write_bytes(content)
    files.undo.mkdir()
    with LineMarks.create(files.plan("buyers"), len(content)) as plan:
        plan.mark_all(0, lines[:there], [SAME] * there)
    manifest = Manifest.new()
    entry = ArtifactEntry(len(lines), len(lines), len(content), "sha", "")
    manifest.artifacts["transformed/buyers.json"] = entry
    return Run(Config(migration=MigrationConfig(continue_on_error=tolerant)), files, manifest)


@pytest.mark.parametrize(
    ("cities", "tolerant", "expected"),
    [
        (["Lecco", "Como", "Pavia", "Lodi", ""], True, (Stage.HELD_BACK, ExitCode.QUARANTINED, 1)),
        (["Lecco", "Como", "Pavia", "Lodi", ""], False, (Stage.LOAD, ExitCode.FAILED, 1)),
        (["Lecco", "x" * 1024, "Como"], True, None),
        (["Lecco", "Como", "è" * 513, "Lodi"], True, (Stage.HELD_BACK, ExitCode.QUARANTINED, 1)),
        (["", "", ""], True, (Stage.LOAD, ExitCode.FAILED, 3)),
    ],
)
def test_what_an_index_refuses_is_in_the_way(
    cities: list[str], tolerant: bool, expected: Any, tmp_path: Path
) -> None:
    run = run_with(tmp_path, *cities, tolerant=tolerant)
    found = list(obstacles_of_indexes(run, BUYERS, BY_CITY))
    assert [(each.stage, each.code, each.count) for each in found] == (
        [expected] if expected else []
    )
    for each in found:
        assert "ByCity" in each.what


def test_what_is_there_already_is_not_written_and_not_refused(tmp_path: Path) -> None:
    run = run_with(tmp_path, "", "Lecco", "Como", tolerant=True, there=1)
    assert not list(obstacles_of_indexes(run, BUYERS, BY_CITY))
    assert not list(obstacles_of_indexes(run, BUYERS, None))
