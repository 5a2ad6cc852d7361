"""What the application does after a load is its right, and no difference (trial C1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.transformed import Item, Migration, party, sale
from utils.embedded.aws import EmbeddedAws
from utils.run.run import Run
from validate.verify.verification_report import VerificationResult

SOMEONE = {"updatedAt": {"S": "2031-05-04T03:02:01.000Z"}, "updatedBy": {"S": "a@example.com"}}
DELETED = {"deletedAt": {"S": "2031-05-04T03:02:01.000Z"}}


@pytest.fixture
def migration(aws: EmbeddedAws, tmp_path: Path) -> Migration:
    made = Migration(tmp_path, aws.endpoint_url)
    made.fill()
    return made


@pytest.fixture
def loaded(migration: Migration) -> Run:
    run = migration.write()
    migration.load()
    return run


def signed(item: Item, **changes: Any) -> Item:
    """An item as the application has changed it."""
    return {**item, **SOMEONE, **changes}


def added(item: Item, sk: str) -> Item:
    """An item that the application has added where `item` is."""
    made = signed(item, SK={"S": sk})
    del made["legacyId"]
    return made


def changed(result: VerificationResult, entity: str = "sales") -> dict[tuple[str, str], str]:
    report = orjson.loads(result.report.read_bytes())["keys"][entity]["changedSince"]
    assert report["count"] == len(report["list"])
    return {(each["PK"], each["SK"]): each["how"] for each in report["list"]}


def key(item: Item) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]


def test_edited_deleted_and_added_items_are_counted_apart(
    migration: Migration, loaded: Run
) -> None:
    edited, deleted, more, fewer = (migration.records["sales"][n] for n in (0, 1, 4, 5))
    for item in edited:
        migration.put("sales", signed(item, notes={"S": "changed"}))
    for item in deleted:
        migration.put("sales", signed(item, **DELETED))
    theirs = added(more[1], "LINE#theirs")
    counted = signed(more[0], linesCount={"N": str(len(more))})
    for item in (theirs, counted):
        migration.put("sales", item)
    for item in (
        signed(fewer[1], **DELETED),
        signed(fewer[0], linesCount={"N": str(len(fewer) - 2)}),
    ):
        migration.put("sales", item)
    buyers = migration.records["buyers"]
    migration.put("buyers", signed(buyers[2][0], country={"S": "XX"}, GSI2PK={"S": "COUNTRY#XX"}))
    migration.put("buyers", {**buyers[3][0], **DELETED})

    result = migration.verify(loaded)

    assert result.problems == []
    assert changed(result) == {
        **{key(item): "changed" for item in (*edited, counted, fewer[0])},
        **{key(item): "deleted" for item in (*deleted, fewer[1])},
        key(theirs): "added",
    }
    assert changed(result, "buyers") == {key(buyers[2][0]): "changed", key(buyers[3][0]): "deleted"}
    assert loaded.manifest.phases["verify"]["sales"].result["changedSince"] == len(changed(result))


@pytest.mark.parametrize(
    "changes",
    [
        {"notes": {"S": "changed"}},
        {"notes": {"S": "changed"}, "updatedAt": SOMEONE["updatedAt"]},
        {"notes": {"S": "changed"}, "updatedBy": SOMEONE["updatedBy"]},
        {**SOMEONE, "updatedAt": {"S": "2001-05-04T03:02:01.000Z"}},
        {**SOMEONE, "updatedAt": {"S": "tomorrow"}},
        {**SOMEONE, "updatedAt": {"N": "2031"}},
        {"deletedAt": {"NULL": True}},
        {"deletedAt": {"S": "2001-05-04T03:02:01.000Z"}},
    ],
)
def test_what_nobody_has_signed_later_is_a_difference(
    migration: Migration, loaded: Run, changes: Item
) -> None:
    item = migration.records["sales"][2][0]
    migration.put("sales", {**item, **changes})
    result = migration.verify(loaded)
    assert not result.passed
    (entry,) = result.entities["sales"].keys.different.entries
    assert entry.key.pk == item["PK"]["S"]
    assert changed(result) == {}


def amounts(item: Item, net: str, tax: str, total: str) -> Item:
    names = ("netAmount", "taxAmount", "totalAmount")
    return {**item, **{n: {"N": v} for n, v in zip(names, (net, tax, total), strict=True)}}


@pytest.mark.parametrize(("total", "right"), [("24.40", True), ("24.41", False)])
def test_a_sale_that_says_what_its_lines_are_is_right_though_nobody_has_signed_it(
    migration: Migration, total: str, right: bool
) -> None:
    record = sale(50, lines=1)
    record[1] = amounts(record[1], "10", "2.2", "12.2")
    migration.records["sales"].append(record)
    run = migration.write()
    migration.load()
    migration.put("sales", amounts(added(record[1], "LINE#theirs"), "10", "2.2", "12.2"))
    figures = {"linesCount": "2", "subtotal": "20", "taxAmount": "4.4", "total": total}
    migration.put("sales", {**record[0], **{n: {"N": value} for n, value in figures.items()}})
    result = migration.verify(run)
    assert result.passed == right, result.problems
    assert result.entities["sales"].keys.different.count == (not right)


def test_an_item_that_has_lost_its_mark_is_still_known_by_its_key(
    migration: Migration, loaded: Run
) -> None:
    item = signed(migration.records["buyers"][0][0], city={"S": "Lecco"})
    del item["legacyId"]
    migration.put("buyers", item)
    result = migration.verify(loaded)
    assert result.problems == []
    assert changed(result, "buyers") == {key(item): "changed"}


def test_a_torn_record_is_a_difference_whoever_has_signed_it(
    migration: Migration, loaded: Run
) -> None:
    """Three lines under a sale that says two: that is not what the application leaves."""
    record = migration.records["sales"][2]
    migration.put("sales", signed(record[0], linesCount={"N": "2"}))
    lines = len(record) - 1
    result = migration.verify(loaded)
    assert [(w.lines_count, w.found) for w in result.lines["sales"].different.entries] == [
        ("2", lines)
    ]
    assert lines == 3


def test_a_lost_line_of_a_changed_sale_is_missing(migration: Migration, loaded: Run) -> None:
    record = migration.records["sales"][4]
    migration.put("sales", signed(record[0]))
    migration.delete("sales", record[1])
    result = migration.verify(loaded)
    assert [str(entry.sk) for entry in result.entities["sales"].keys.missing.entries] == [
        record[1]["SK"]["S"]
    ]


NAMES = ("companyName", "GSI1SK", "GSI2SK")


@pytest.mark.parametrize("kind", ["edited", "deleted"])
def test_access_patterns_expect_nothing_of_what_the_application_has_changed(
    migration: Migration, kind: str
) -> None:
    """Statuses, parties, dates and numbers may all be others now."""
    migration.fill(parties=4, sales=30)
    run = migration.write()
    migration.load()
    buyer = migration.records["buyers"][3][0]
    for number in range(0, 30, 3):
        head = migration.records["sales"][number][0]
        edited = {
            "status": {"S": "archived"},
            "GSI1PK": {"S": "STATUS#archived"},
            "buyerId": buyer["buyerId"],
            "GSI2PK": buyer["PK"],
            "saleNumber": {"N": str(900 + number)},
            "saleDate": {"S": "2019-01-01"},
            **{key: {"S": "2019-01-01"} for key in head if key.startswith("GSI") and "SK" in key},
        }
        migration.put("sales", signed(head, **(edited if kind == "edited" else DELETED)))
    for record in migration.records["buyers"][:2]:
        migration.put("buyers", signed(record[0], **{name: {"S": "Z"} for name in NAMES}))
    assert migration.verify(run).problems == []


class TestOnlyInTheTarget:
    """What is only in the target is counted by kind (trial B)."""

    def test_is_told_by_kind_and_the_ledger_of_what_was_loaded_closes(
        self, migration: Migration, loaded: Run
    ) -> None:
        gone = sale(77, lines=2)
        for item in gone:
            migration.put("sales", item)
        line: Item = {**migration.records["sales"][0][0], "SK": {"S": "LINE#gone"}}
        migration.put("sales", line)
        result = migration.verify(loaded)
        ledger = result.entities["sales"].ledger
        assert ledger.closes
        assert (ledger.beyond.records, ledger.beyond.items) == (1, 4)
        figures = result.figures("sales")
        assert figures["onlyInTarget"] == {"records": 1, "lines": 3}
        assert figures["missing"] == figures["different"] == 0
        assert not result.passed

    def test_what_was_deleted_as_the_api_deletes_is_none(
        self, migration: Migration, loaded: Run
    ) -> None:
        """The remedy for what is only in the target works."""
        gone = sale(77, lines=2)
        migration.put("sales", {**gone[0], **SOMEONE, **DELETED})
        for item in gone[1:]:
            migration.put("sales", item)
        migration.put("producers", {**party("producer", 99), **DELETED})
        result = migration.verify(loaded)
        assert result.problems == []
        assert set(changed(result).values()) == {"deleted"}


@pytest.mark.parametrize("spoil", [lambda item: item.pop("updatedAt"), lambda _: None])
def test_without_a_time_of_its_own_nothing_is_told_to_be_later(
    migration: Migration, spoil: Callable[[Item], object]
) -> None:
    item = migration.records["producers"][0][0]
    spoil(item)
    run = migration.write()
    migration.load()
    migration.put("producers", signed(item, city={"S": "Lecco"}))
    assert migration.verify(run).passed == ("updatedAt" in item)
