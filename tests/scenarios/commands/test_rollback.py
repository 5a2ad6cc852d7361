"""Rollback: the tables are as they were before the run, plus exactly the application's edits."""

from __future__ import annotations

from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.faults.sabotage import SabotagedOperator, events
from tests.support.operators.operator import ENTITIES, Operator, small_trade
from tests.support.operators.undone import closes, headers, lines
from utils.embedded.aws import EmbeddedAws
from utils.files.encryption import new_identity


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


def headers_of(application: Application) -> dict[str, Any]:
    """A buyer that is in the table."""
    return next(iter(application.scan()["buyers"].values()))


def test_what_the_run_created_is_deleted_and_every_record_of_the_application_stays_whole(
    operator: Operator, application: Application
) -> None:
    operator.run("--full").ended(5)
    loaded = application.scan()
    buyers, sales = headers(operator, "buyers"), headers(operator, "sales")
    application.change("buyers", buyers[0], city={"S": "Lecco"})
    application.change("sales", sales[0], status={"S": "paid"})
    application.change("sales", lines(operator)[9], notes={"S": "urgent"})
    application.change("producers", headers(operator, "producers")[0], deletedAt={"S": LATER})
    application.delete("buyers", buyers[1])
    application.delete("sales", lines(operator)[-1])
    for entity in ENTITIES:
        application.create(entity)
    # An attribute more, and nothing else: not even updatedAt.
    application.put("buyers", {**buyers[2], "website": {"S": "https://example.com"}})

    foreseen = operator.run("rollback", "--dry-run").ended(0)
    assert "Nothing was written" in foreseen.last_line
    assert "  kept: BUYER#" in foreseen.stdout
    assert len(application.scan()["sales"]) > 500
    operator.run("rollback").failed(2, "not confirmed", "rollback --yes")
    outcome = operator.run("rollback", "--yes").ended(0)
    assert f"the load of run {operator.manifest()['run_id']}" in outcome.last_line

    kept = operator.report("rollback")["kept"]
    assert kept == operator.report("rollback_plan")["kept"]
    whole = {record["PK"] for record in kept}
    assert application.scan() == application.on_top_of(
        {
            entity: {key: item for key, item in loaded[entity].items() if key[0] in whole}
            for entity in ENTITIES
        }
    )
    used = {record["PK"] for record in kept if record["reason"] == "inUse"}
    edited = {record["PK"]: record["changes"] for record in kept if record["PK"] not in used}
    touched = {lines(operator)[place]["PK"]["S"] for place in (9, -1)} | {sales[0]["PK"]["S"]}
    assert len(edited) == 3 + len(touched)
    for sale in (item for item in headers(operator, "sales") if item["PK"]["S"] in touched):
        for kind in ("buyer", "producer"):
            assert f"{kind.upper()}#{sale[f'{kind}Id']['S']}" in whole
    figures = closes(operator)
    assert figures["buyers"]["created"]["gone"] == 1
    (change,) = edited[buyers[2]["PK"]["S"]]
    assert change == {"SK": "METADATA", "what": "changed", "attributes": ["website"]}
    (change,) = edited[buyers[0]["PK"]["S"]]
    assert change["attributes"] == ["city", "updatedAt", "updatedBy"]
    operator.run("--resume").failed(2, "was undone", "--full")
    operator.run("--phase", "verify").failed(1, "was undone", "--full")
    operator.run("rollback", "--yes").failed(2, "undone already")


def test_what_the_run_replaced_comes_back_and_the_next_run_loads_anew(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    first = application.scan()
    s9.execute("UPDATE msg_anag SET city = 'Lecco', updated_at = '2030-01-01' WHERE first_id = 1")
    s9.execute("UPDATE msg_line SET product_description = 'Dado M1' WHERE id = 1")
    s9.execute("UPDATE msg_anag SET city = 'Como' WHERE first_id = 2")
    alone.configure(load={"onConflict": "overwrite"})
    alone.run("--full").ended(0)
    second = application.scan()
    assert second != first
    application.change("buyers", headers(alone, "buyers")[1], city={"S": "Varese"})
    alone.run("rollback", "--yes").ended(0)
    assert application.scan() == application.on_top_of(first)
    figures = closes(alone)
    assert figures["buyers"]["replaced"] == {"count": 2, "restored": 1, "kept": 1, "gone": 0}
    assert figures["sales"]["replaced"]["restored"] == 3  # a line, and two headers with the cities
    assert figures["sales"]["created"]["count"] == 0
    assert figures["sales"]["leftAlone"] == 2
    alone.run("--full").ended(0)
    assert application.scan() == second


def test_an_unfinished_load_is_undone_whole(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, application: Application
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(alone.configure(migration={"batchSize": 1, "workers": 1}))
    tool.killed("--full", phase="load", entity="sales", what="after request", after=2)
    assert application.scan()["sales"]
    tool.plan["set"] = {**tool.plan["set"], "load.rollback.engine.UNDERWAY_FOR": 3.0}  # not 35
    tool.run("rollback", "--yes").ended(0)
    assert application.scan() == {entity: {} for entity in ENTITIES}
    figures = closes(alone)["sales"]
    assert figures["created"]["count"] + figures["neverWritten"] == 5
    alone.run("--full").ended(0)


def test_killed_again_and_again_and_gone_on_with_to_the_same_end(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    application.change("sales", headers(alone, "sales")[0], status={"S": "paid"})
    application.delete("buyers", headers(alone, "buyers")[0])
    tool = SabotagedOperator.like(alone)
    for entity, after in (("sales", 4), ("sales", 7), ("producers", 3), ("buyers", 5)):
        tool.killed("rollback", "--yes", phase="rollback", entity=entity, after=after)
    alone.run("--resume").failed(2, "is being undone", "rollback")
    alone.run("rollback").ended(0)
    # The sale with its lines and its producer; its buyer was deleted by the application.
    assert [len(items) for items in application.scan().values()] == [0, 1, 3]
    figures = closes(alone)
    assert [figures[entity]["created"]["count"] for entity in ENTITIES] == [2, 1, 5]
    assert figures["sales"]["created"]["kept"] == 3


def test_a_load_that_fails_for_good_is_undone_if_that_is_asked_for(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, application: Application
) -> None:
    small_trade(s9)

    def deny(request: Request) -> Answer | None:
        if request.operation == "BatchWriteItem" and b"LINE#" in request.body:
            return error("AccessDeniedException", "not authorized to perform that")
        return None

    with FaultyProxy(aws, Plan(always=deny)) as proxy:
        alone.configure(
            target={"endpoint": proxy.url},
            migration={"rollbackOnFailure": True, "continueOnError": False},
        )
        alone.run("--full").failed(1, "denies access", "was undone", "--full")
        assert proxy.requests["TransactWriteItems"] == 2
    assert application.scan() == {entity: {} for entity in ENTITIES}
    assert closes(alone)["buyers"]["created"]["deleted"] == 2


def test_killed_where_it_ends_it_is_finished_by_the_same_command(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    tool = SabotagedOperator.like(alone)
    tool.run("--full").ended(0)
    happened = events(tool, "rollback", "--yes")
    renames = sum(event.endswith("after rename") for event in happened)
    for last in range(8):
        tool.run("--full").ended(0)
        tool.killed("rollback", "--yes", what="after rename", after=renames - last)
        outcome = tool.run("rollback", "--yes")
        assert outcome.code == 0 or "undone already" in outcome.stderr, outcome.output
    tool.run("--full").ended(0)


def test_what_was_replaced_is_encrypted_at_rest_and_comes_back_with_the_identity(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    identity, public = new_identity()
    key = alone.directory / "key"
    key.write_text(f"{identity}\n")
    alone.configure(data={"recipient": str(public)}, load={"onConflict": "overwrite"})
    alone.run("--full").ended(0)
    application.change("buyers", headers_of(application), city={"S": "Lecco"})
    before = application.scan()
    alone.run("--full").ended(0)
    assert not (alone.data / "undo" / "buyers.before").exists()
    assert (alone.data / "undo" / "buyers.before.age").exists()
    alone.run("rollback", "--yes").failed(2, "--identity")
    alone.run("--identity", str(key), "rollback", "--yes").ended(0)
    assert application.scan() == before
