"""`verify --from-source` believes S9 and the tables, and nothing that is on disk."""

from __future__ import annotations

import shutil
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import (
    Operator,
    insert,
    line,
    party,
    sale,
    scan,
    small_trade,
)

FROM_SOURCE = ("--phase", "verify", "--from-source")


@pytest.fixture
def loaded(alone: Operator, s9: S9Database) -> Operator:
    """An operator who has migrated a small trade."""
    small_trade(s9)
    alone.run("--full").ended(0)
    return alone


def found(operator: Operator, kind: str, entity: str = "sales") -> set[tuple[str, str]]:
    """(SK, how) of what the report lists as `kind`."""
    entries = operator.report("verification")["keys"][entity][kind]["list"]
    return {(each["SK"].partition("#")[0], each.get("how", "")) for each in entries}


def items(operator: Operator, dynamodb: DynamoDBClient, table: str) -> list[dict[str, Any]]:
    name = operator.config["target"][table]
    return list(scan(dynamodb, name).values())


def test_all_of_s9_is_found_and_no_file_is_left(loaded: Operator) -> None:
    before = loaded.files()
    outcome = loaded.run(*FROM_SOURCE).ended(0)
    assert "by S9 itself" in outcome.last_line
    report = loaded.report("verification")
    assert (report["passed"], report["comparedWith"]) == (True, "source")
    after = loaded.files()
    assert not [name for name in after if name.startswith("from-source/transformed")]
    assert {n: t for n, t in before.items() if n.startswith(("transformed", "extracted"))} == {
        n: t for n, t in after.items() if n.startswith(("transformed", "extracted"))
    }


def test_no_artifact_is_needed(loaded: Operator) -> None:
    shutil.rmtree(loaded.data)
    loaded.run(*FROM_SOURCE).ended(0)
    assert loaded.report("verification")["passed"]
    assert not (loaded.data / "manifest.json").exists()
    loaded.run("--dry-run").ended(0)


def test_a_damaged_manifest_hides_nothing(loaded: Operator, dynamodb: DynamoDBClient) -> None:
    (loaded.data / "manifest.json").write_text("{")
    loaded.run(*FROM_SOURCE).ended(0)
    sales = items(loaded, dynamodb, "salesTable")
    line_item = next(item for item in sales if item["SK"]["S"] != "METADATA")
    dynamodb.delete_item(
        TableName=loaded.config["target"]["salesTable"],
        Key={name: line_item[name] for name in ("PK", "SK")},
    )
    loaded.run(*FROM_SOURCE).ended(4)
    assert found(loaded, "missing") == {("LINE", "")}
    assert (loaded.data / "manifest.json").read_text() == "{"


def test_what_s9_has_changed_since_is_told_from_damage(
    loaded: Operator, s9: S9Database, dynamodb: DynamoDBClient
) -> None:
    s9.execute("UPDATE msg_line SET unit_price = unit_price + 1 WHERE id = 1")
    s9.execute("DELETE FROM msg_line WHERE id = 2")
    insert(s9, "msg_line", line(7, 11))
    insert(s9, "msg_anag", party(9, 2))
    loaded.run("--phase", "verify").ended(0)
    outcome = loaded.run(*FROM_SOURCE).ended(4)
    assert "changed in S9 since the load" in outcome.last_line
    assert found(loaded, "changedInSource") == {
        ("LINE", "new-in-source"),
        ("LINE", "changed-in-source"),
        ("LINE", "removed-in-source"),
        ("METADATA", "changed-in-source"),
    }
    assert found(loaded, "changedInSource", "buyers") == {("METADATA", "new-in-source")}
    for kind in ("missing", "extra", "different"):
        assert found(loaded, kind) == set()
    differences = (loaded.data / "differences" / "sales.json").read_bytes().splitlines()
    assert {orjson.loads(each)["legacyId"] for each in differences} == {"10", "11"}


def test_a_row_that_is_not_migrated_any_more_is_removed_in_s9(
    loaded: Operator, s9: S9Database
) -> None:
    insert(s9, "msg", sale(12, 1, 3))
    s9.execute("UPDATE msg_anag SET enabled = false WHERE first_id = 2")
    s9.execute("UPDATE msg SET buyer_id = 1 WHERE buyer_id = 2")
    loaded.run(*FROM_SOURCE).ended(4)
    assert found(loaded, "changedInSource", "buyers") == {("METADATA", "removed-in-source")}


def test_watching_ends_when_two_looks_find_the_same(loaded: Operator) -> None:
    outcome = loaded.run("--phase", "verify", "--watch", "0").ended(0)
    assert outcome.output.count("Looking again in 0 s") == 1


def test_options_of_the_proof_go_with_verify_alone(loaded: Operator) -> None:
    for option in ("--from-source", "--watch=1"):
        loaded.run("--full", option).ended(2)
        loaded.run("--phase", "load", option).ended(2)


@pytest.mark.parametrize("option", [(), ("--from-source",)])
def test_a_look_that_is_interrupted_leaves_the_run_finished(
    loaded: Operator, option: tuple[str, ...]
) -> None:
    sabotaged = SabotagedOperator.like(loaded)
    at = {"phase": "verify", "entity": "buyers", "after": 1}
    with sabotaged.held("--phase", "verify", *option, **at) as running:
        running.interrupt()
        sabotaged.let_go()
        outcome = running.end().ended(130)
    assert "interrupted in verify" in outcome.output
    loaded.run("--dry-run").ended(0)
    loaded.run("--phase", "verify", *option).ended(0)
