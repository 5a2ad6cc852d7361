"""A second run over an S9 that has changed: what is replaced is replaced whole (trials B, A10)."""

from __future__ import annotations

from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.conflicts.policy import Authors, rest_of
from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.operators.operator import Operator, insert, line, party, sale
from utils.embedded.aws import EmbeddedAws

Key = tuple[str, str]
Sales = dict[Key, dict[str, Any]]
SOON = "2031-01-01 10:00:00"


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def migrated(alone: Operator, s9: S9Database) -> Operator:
    """Sales 10 to 19, each with two lines (10 with 100 and 101, and so on), are in the target."""
    insert(s9, "msg_anag", party(1, 2), party(2, 3), party(3, 1))
    for number in range(10, 20):
        insert(s9, "msg", sale(number, 1, 3))
        insert(s9, "msg_line", line(number * 10, number, line_number=1))
        insert(s9, "msg_line", line(number * 10 + 1, number, line_number=2))
    alone.run("--full").ended(0)
    return alone


def of(sales: Sales, legacy_id: int) -> dict[str, dict[str, Any]]:
    """The items of a sale by the S9 key of each, "" for what has none."""
    (pk,) = {
        key for (key, _), item in sales.items() if item.get("legacyId") == {"S": str(legacy_id)}
    }
    return {
        "header" if sk == "METADATA" else item.get("legacyId", {}).get("S", ""): item
        for (key, sk), item in sales.items()
        if key == pk
    }


def load(operator: Operator, policy: str, **sections: Any) -> dict[str, Any]:
    """A second whole run under a policy, whatever the words at its end; the sales' figures."""
    operator.configure(load={"onConflict": policy}, **sections)
    outcome = operator.run("--full")
    assert outcome.code in (0, 4, 5), outcome.output
    return dict(operator.report("load")["entities"]["sales"])


def conflicts(operator: Operator) -> set[tuple[str, str, str]]:
    """What the report lists: kind, S9 key and decision."""
    listed = operator.report("conflicts")["conflicts"]
    return {(each["kind"], each["legacyId"] or "", each["decision"]) for each in listed}


def left_over(operator: Operator, entity: str) -> set[tuple[str, str]]:
    """What is only in the target: S9 key and kind."""
    listed = operator.report(f"only_in_target_{entity}")["items"]
    return {(each["legacyId"], each["kind"]) for each in listed}


def swap(s9: S9Database, *numbers: int) -> None:
    """The second line of some sales goes, and another comes: their headers say the same."""
    for number in numbers:
        s9.execute(f"DELETE FROM msg_line WHERE id = {number * 10 + 1}")
        insert(s9, "msg_line", line(number * 10 + 2, number, line_number=2))


def work_on(application: Application, sales: Sales) -> None:
    """What the application may do with a line, or beside it: to the sales 12, 13, 14 and 15."""
    own = [of(sales, number)[str(number * 10 + 1)] for number in range(12, 16)]
    added = {**own[0], "SK": {"S": "LINE#new"}, "lineId": {"S": "new"}}
    del added["legacyId"]
    application.put("sales", added)
    application.put("sales", {"PK": own[1]["PK"], "SK": {"S": "FILE#1"}, "name": {"S": "a.pdf"}})
    application.change("sales", own[2], notes={"S": "by hand"})
    application.change("sales", own[3], deletedAt={"S": LATER})


def test_overwrite_replaces_records_whole_unless_the_application_has_hung_something_on_them(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    work_on(application, application.scan()["sales"])
    before = application.scan()
    s9.execute("DELETE FROM msg_line WHERE id = 101")  # its header is not touched in S9
    swap(s9, 11, 12, 13, 14, 15)
    s9.execute("UPDATE msg_line SET msg_id = 17 WHERE id = 161")
    s9.execute("UPDATE msg SET enabled = false WHERE first_id IN (18, 19)")
    s9.execute("UPDATE msg_anag SET enabled = false WHERE first_id = 2")

    figures = load(migrated, "overwrite")
    sales = application.scan()["sales"]
    assert set(of(sales, 10)) == {"header", "100"}
    assert of(sales, 10)["header"]["linesCount"]["N"] == "1"
    assert set(of(sales, 11)) == {"header", "110", "112"}
    assert set(of(sales, 16)) == {"header", "160"}
    assert set(of(sales, 17)) == {"header", "170", "171", "161"}
    for number in (12, 13, 14, 15, 18, 19):
        assert of(sales, number) == of(before["sales"], number)
    assert figures["takenAway"] == 3
    assert figures["keptAbsent"] == 4
    assert figures["onlyInTarget"] == {"records": 2, "recordItems": 6, "lines": 3}  # one deleted
    listed = conflicts(migrated)
    assert {("not-in-s9", "101", "remove"), ("absent", "122", "keep")} <= listed
    assert {("application", "", "keep"), ("application", "141", "keep")} <= listed
    assert {("18", "record"), ("190", "record"), ("121", "line")} <= left_over(migrated, "sales")
    assert left_over(migrated, "buyers") == {("2", "record")}

    migrated.run("rollback", "--yes").ended(0)
    assert application.scan() == before


def test_newer_goes_by_the_newest_row_of_a_record(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    sales = application.scan()["sales"]
    application.change("sales", of(sales, 11)["111"], notes={"S": "later than S9's"})
    before = application.scan()["sales"]
    s9.execute(f"UPDATE msg_line SET quantity = 7, updated_at = '{SOON}' WHERE id IN (100, 110)")
    s9.execute("DELETE FROM msg_line WHERE id = 121")
    s9.execute(f"UPDATE msg_line SET msg_id = 14, updated_at = '{SOON}' WHERE id = 131")
    figures = load(migrated, "newer")
    sales = application.scan()["sales"]
    assert of(sales, 10)["100"]["quantity"]["N"] == "7"
    assert of(sales, 11) == of(before, 11)
    assert set(of(sales, 12)) == {"header", "120"}
    assert set(of(sales, 13)) == {"header", "130"}
    assert set(of(sales, 14)) == {"header", "140", "141", "131"}
    assert (figures["keptRecords"], figures["takenAway"], figures["keptAbsent"]) == (1, 2, 0)


def test_fail_names_what_only_the_table_has_and_skip_leaves_it(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    swap(s9, 10)
    before = application.scan()
    migrated.run("--full").failed(1, "onConflict", "1 item differs")
    assert conflicts(migrated) == {("not-in-s9", "101", "stop")}
    migrated.configure(load={"onConflict": "skip"})
    migrated.run("--resume")
    assert application.scan() == before
    figures = migrated.report("load")["entities"]["sales"]
    assert figures["onlyInTarget"] == {"records": 0, "recordItems": 0, "lines": 1}
    assert figures["keptAbsent"] == 1
    listed = {("not-in-s9", "101", "keep"), ("absent", "102", "keep")}
    assert listed <= conflicts(migrated)


def test_what_the_application_does_while_a_record_is_replaced_keeps_it_as_it_is(
    migrated: Operator, s9: S9Database, aws: EmbeddedAws, application: Application
) -> None:
    """Nothing of it goes out: the header, the line that goes and the one that comes are one."""
    swap(s9, 10)
    header = of(application.scan()["sales"], 10)["header"]
    seen: list[str] = []

    def edit(request: Request) -> Answer | None:
        if request.operation == "TransactWriteItems" and not seen:
            seen.append(request.operation)
            application.change("sales", header, notes={"S": "now"})
        return None

    with FaultyProxy(aws, Plan(always=edit)) as proxy:
        load(migrated, "overwrite", target={"endpoint": proxy.url}, data={"directory": "data-2"})
    assert seen
    found = of(application.scan()["sales"], 10)
    assert set(found) == {"header", "100", "101"}
    assert found["header"]["notes"]["S"] == "now"


@pytest.mark.parametrize(
    ("by", "at", "own"),
    [
        ("migration@system", "2031-01-01T00:00:00.000Z", True),
        ("anna@example.com", "2026-02-01T09:59:59.000Z", True),
        ("anna@example.com", "2026-02-01T10:00:01.000Z", False),
        ("carla@example.com", "2026-01-01T00:00:00.000Z", False),
    ],
)
def test_who_works_in_both_is_told_apart_by_the_time_of_the_first_load(
    by: str, at: str, own: bool
) -> None:
    authors = Authors("migration@system", {"anna@example.com"}, "2026-02-01T10:00:00Z")
    item = {"legacyId": {"S": "1"}, "updatedBy": {"S": by}, "updatedAt": {"S": at}}
    assert authors.is_own(item) is own
    assert not authors.is_own({**item, "deletedAt": {"S": at}})
    rest = rest_of({("SALE#1", "LINE#1"): item}, (), authors.is_own)
    assert (len(rest.own), len(rest.others)) == (own, not own)
    known_to_nobody = Authors("migration@system", {"anna@example.com"})
    assert known_to_nobody.is_own(item) is (by == "migration@system")
