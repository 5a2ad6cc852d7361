"""Repair: after it the tables are as S9 is, plus exactly the application's edits; and its undo."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.damage.of_each_kind import damage, of
from tests.support.faults.sabotage import SabotagedOperator, shared
from tests.support.operators.operator import (
    Operator,
    Running,
    by_key,
    insert,
    line,
    sale,
    small_trade,
)
from tests.support.operators.undone import headers, lines
from utils.embedded.aws import EmbeddedAws
from utils.files.encryption import new_identity

REPAIR = ("--phase", "verify", "--repair")
BOTH = (*REPAIR, "--repair-extra")
WRITES = ("PutItem", "DeleteItem", "TransactWriteItems")
NONE = {"N": "0"}
MARK = b"MIGRATION#LOCK"


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def vandal(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    """Who damages tables without signing."""
    return Application(dynamodb, tables)


def test_every_kind_of_damage_is_repaired_and_the_application_s_work_stays(
    operator: Operator, application: Application, vandal: Application
) -> None:
    operator.run("--full").ended(5)
    loaded = application.scan()
    damage(vandal, operator)
    sales, some = headers(operator, "sales"), lines(operator)
    application.change("sales", sales[6], status={"S": "paid"})
    application.change("buyers", headers(operator, "buyers")[3], city={"S": "Lecco"})
    # Damaged, and the application has been there: the whole record stays.
    vandal.delete("sales", of(some, sales[7])[0])
    application.change("sales", sales[7], status={"S": "paid"})
    damaged = application.scan()

    foreseen = operator.run(*BOTH, "--dry-run").ended(4)
    assert "Nothing was written to the tables" in foreseen.stdout
    assert application.scan() == damaged
    plan = operator.report("repair_plan")
    outcome = operator.run(*BOTH).ended(4)
    report = operator.report("repair")
    assert report["entities"] == plan["entities"]
    assert report["entities"]["sales"]["left"] == {"changed": 1}
    assert report["after"]["sales"]["missing"] == 1
    assert not report["passed"]
    assert "on which the application has worked" in outcome.stdout

    expected = application.on_top_of(loaded)
    left = of(some, sales[7])[0]
    del expected["sales"][left["PK"]["S"], left["SK"]["S"]]
    assert application.scan() == expected
    again = operator.run(*BOTH).ended(4)
    assert "Repaired nothing" in again.stdout
    operator.run("rollback", "--repair").failed(2, "not confirmed", "rollback --repair --yes")
    operator.run("rollback", "--repair", "--yes").ended(0)
    assert application.scan() == damaged
    operator.run("rollback", "--repair", "--yes").failed(2, "no repair to undo")


def test_a_part_is_repaired_and_what_nobody_has_touched_is_left(
    alone: Operator, s9: S9Database, application: Application, vandal: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    loaded = application.scan()
    assert "nothing to repair" in alone.run(*BOTH).ended(0).stdout
    assert not (alone.data / "undo" / "repair.json").exists()
    for entity in ("buyers", "sales"):
        for item in loaded[entity].values():
            vandal.delete(entity, item)
    alone.run("--phase", "verify", "--entity", "buyers", "--repair").ended(0)
    assert application.scan() == {**loaded, "sales": {}}
    outcome = alone.run(*REPAIR).ended(0)
    assert "5 items written again" in outcome.stdout
    assert application.scan() == loaded
    # Only the last repair is undone.
    alone.run("rollback", "--repair", "--yes").ended(0)
    assert application.scan() == {**loaded, "sales": {}}
    alone.run("--phase", "verify", "--repair-extra").ended(4)
    assert application.scan() == {**loaded, "sales": {}}


def test_a_party_that_a_sale_names_is_not_taken_out(
    alone: Operator, s9: S9Database, application: Application, vandal: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    buyer, first = headers(alone, "buyers")[0], headers(alone, "sales")[0]
    keys = {"PK": {"S": "BUYER#gone"}, "buyerId": {"S": "gone"}, "legacyId": {"S": "98"}}
    vandal.put("buyers", {**buyer, **keys})
    unused = {"PK": {"S": "BUYER#unused"}, "buyerId": {"S": "unused"}, "legacyId": {"S": "99"}}
    vandal.put("buyers", {**buyer, **unused})
    theirs = {"PK": {"S": "SALE#theirs"}, "saleId": {"S": "theirs"}, "GSI2PK": {"S": "BUYER#gone"}}
    theirs = {**first, **theirs, "buyerId": {"S": "gone"}, "createdBy": {"S": "someone"}}
    del theirs["legacyId"]
    application.put("sales", theirs)
    before = application.scan()
    alone.run("--phase", "verify", "--repair-extra").ended(4)
    del before["buyers"]["BUYER#unused", "METADATA"]
    assert application.scan() == before
    report = alone.report("repair")
    assert report["entities"]["buyers"]["left"] == {"inUse": 1}
    assert [each["because"] for each in report["records"] if each["left"]] == ["SALE#theirs"]


def test_a_rollback_of_the_load_after_repairs_leaves_the_tables_as_before_the_load(
    alone: Operator, s9: S9Database, application: Application, vandal: Application
) -> None:
    """What was there before comes back, also what only a repair has taken away."""
    small_trade(s9)
    alone.run("--full").ended(0)
    s9.execute("UPDATE msg_anag SET city = 'Lecco' WHERE first_id = 1")
    s9.execute("DELETE FROM msg_line WHERE id = 2")
    s9.execute("DELETE FROM msg_line WHERE id = 3")
    s9.execute("DELETE FROM msg WHERE first_id = 11")
    s9.execute("DELETE FROM msg_anag WHERE first_id = 2")
    alone.configure(load={"onConflict": "overwrite"})
    before = application.scan()
    alone.run("--full").ended(4)
    assert application.scan() != before
    buyers, some = headers(alone, "buyers"), lines(alone)
    vandal.delete("buyers", buyers[0])
    vandal.put("sales", {**some[0], "quantity": {"N": "3"}})
    vandal.put("sales", {**some[0], "SK": {"S": "LINE#forged"}, "legacyId": {"S": "77"}})
    vandal.put("buyers", {**buyers[0], "PK": {"S": "BUYER#forged"}, "legacyId": {"S": "88"}})
    alone.run(*REPAIR).ended(4)
    alone.run("--phase", "verify", "--repair-extra").ended(0)
    alone.run("rollback", "--dry-run").ended(0)
    alone.run("rollback", "--yes").ended(0)
    assert application.scan() == before
    report = alone.report("rollback")
    brought = {name: each["broughtBack"] for name, each in report["entities"].items()}
    assert brought == {"sales": 2, "buyers": 1}
    alone.run("rollback", "--repair", "--yes").failed(2, "no repair to undo")


@dataclass
class Killer:
    """Kills a command when it comes to its n-th write, which is done, or is not; or asks it to
    stop."""

    running: Running | None = None
    after: int = 0
    is_done: bool = True
    asks: bool = False

    def decide(self, request: Request) -> Answer | None:
        if request.operation not in WRITES or MARK in request.body or self.running is None:
            return None
        self.after -= 1
        if self.after:
            return None
        running, self.running = self.running, None
        if self.asks:
            running.interrupt()
            return None
        running.process.kill()
        running.process.wait()
        return None if self.is_done else error("InternalServerError", "killed", 500)

    def kill(self, operator: Operator, *arguments: str, after: int, is_done: bool) -> None:
        """Type a command that is killed at its n-th write."""
        self.after, self.is_done = after, is_done
        with operator.start(*arguments) as running:
            self.running = running
            assert running.end().code == -signal.SIGKILL

    def interrupt(self, operator: Operator, *arguments: str) -> None:
        """Type a command, and press Ctrl-C at its first write."""
        self.after, self.asks = 1, True
        with operator.start(*arguments) as running:
            self.running = running
            outcome = running.end().failed(130, " ".join(arguments))
        self.asks = False
        assert "resume: python migrate.py --phase verify" in outcome.stderr


def test_killed_again_and_again_and_repaired_to_the_same_end(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    application: Application,
    vandal: Application,
) -> None:
    small_trade(s9)
    for number in range(12, 18):
        insert(s9, "msg", sale(number, 1, 3))
        insert(s9, "msg_line", line(2 * number, number), line(2 * number + 1, number))
    killer = Killer()
    few = {"load.repair.engine.MOST_WRITES": 4, "load.rollback.repair_rollback.MOST_WRITES": 4}
    with FaultyProxy(aws, Plan(always=killer.decide)) as proxy:
        alone.configure(target={"endpoint": proxy.url})
        alone.run("--full").ended(0)
        tool = SabotagedOperator.like(alone)
        tool.plan["set"] |= few
        loaded = application.scan()
        damage(vandal, tool)
        damaged = application.scan()
        for after, is_done in ((2, True), (1, False)):
            killer.kill(tool, *BOTH, after=after, is_done=is_done)
        killer.interrupt(tool, *BOTH)
        shared(tool).run(*BOTH).ended(0)
        assert application.scan() == loaded
        assert tool.report("repair")["entities"] == {
            "buyers": {"records": 2, "created": 1, "replaced": 0, "takenAway": 1, "left": {}},
            "producers": {"records": 1, "created": 0, "replaced": 1, "takenAway": 0, "left": {}},
            "sales": {"records": 6, "created": 2, "replaced": 3, "takenAway": 2, "left": {}},
        }
        listed = [item for each in tool.report("repair")["records"] for item in each["items"]]
        assert len(listed) == 10
        undo = ("rollback", "--repair", "--yes")
        killer.kill(tool, *undo, after=2, is_done=True)
        assert "being undone" in tool.run(*REPAIR).output
        tool.run(*undo).ended(0)
        assert application.scan() == damaged


def test_a_sale_that_no_transaction_takes_is_repaired_what_opens_it_first(
    alone: Operator, s9: S9Database, application: Application, vandal: Application
) -> None:
    small_trade(s9)
    insert(s9, "msg_line", *(line(number, 10) for number in range(100, 350)))
    identity, public = new_identity()
    key = alone.directory / "key"
    key.write_text(f"{identity}\n")
    alone.configure(data={"recipient": str(public), "identity": str(key)})
    alone.run("--full").ended(0)
    loaded = application.scan()
    large = max(loaded["sales"].values(), key=lambda item: int(item.get("linesCount", NONE)["N"]))
    rest = [item for item in of(list(loaded["sales"].values()), large) if item != large]
    for item in rest[:230]:
        vandal.delete("sales", item)
    vandal.put("sales", {**large, "status": {"S": "cancelled"}})
    damaged = application.scan()
    alone.run(*REPAIR).ended(0)
    assert application.scan() == loaded
    assert [path.name for path in (alone.data / "undo").glob("sales.steps*")] == ["sales.steps.age"]
    alone.run("rollback", "--repair", "--yes").ended(0)
    assert application.scan() == damaged


def test_by_s9_itself_also_what_s9_has_changed_and_somebody_damaged(
    alone: Operator, s9: S9Database, application: Application, vandal: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    from_source = (*REPAIR, "--from-source")
    first, second = headers(alone, "buyers")
    s9.execute("UPDATE msg_anag SET city = 'Lecco' WHERE first_id = 1")
    s9.execute("UPDATE msg_anag SET city = 'Como' WHERE first_id = 2")
    vandal.put("buyers", {**first, "city": {"S": "nowhere"}})
    vandal.delete("sales", lines(alone)[0])
    alone.run(*from_source).ended(4)
    done = {name: each["records"] for name, each in alone.report("repair")["entities"].items()}
    assert done == {"buyers": 1, "producers": 0, "sales": 1}
    assert application.scan()["buyers"] == by_key([{**first, "city": {"S": "Lecco"}}, second])
    assert len(application.scan()["sales"]) == 5
    assert not alone.report("repair")["passed"]  # what S9 has changed alone is for the next load
    # The load's rollback knows what the repair has written: nothing of the load stays.
    alone.run("rollback", "--yes").ended(0)
    assert application.scan() == {"buyers": {}, "producers": {}, "sales": {}}
    alone.run(*from_source).failed(2, "was undone", "--full")
    alone.run("--full").ended(0)
    loaded = application.scan()
    vandal.delete("buyers", second)
    shutil.rmtree(alone.data)
    alone.run(*from_source).ended(0)
    assert application.scan() == loaded


def test_what_has_left_s9_since_the_load_is_taken_away_and_comes_back_with_the_load_s_undo(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    alone.configure(load={"onConflict": "overwrite"})
    s9.execute("UPDATE msg_line SET product_description = 'Dado' WHERE msg_id = 11")
    before = application.scan()
    alone.run("--full").ended(0)
    s9.execute("DELETE FROM msg_line WHERE msg_id = 11")
    s9.execute("DELETE FROM msg WHERE first_id = 11")
    extra = ("--phase", "verify", "--from-source", "--repair-extra")
    assert "take 2 items away" in alone.run(*extra, "--dry-run").ended(4).stdout
    alone.run(*extra)
    assert len(application.scan()["sales"]) == len(before["sales"]) - 2
    assert alone.report("repair")["entities"]["sales"]["takenAway"] == 2
    alone.run("rollback", "--yes").ended(0)
    assert application.scan() == before
