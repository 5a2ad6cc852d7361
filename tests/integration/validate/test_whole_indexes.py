"""Every index is read whole and compared with its table: what it lacks, has too much, has under
other keys or twice is named; what only follows late is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.aws.proxy import Answer, FaultyProxy, Forward, Plan, Request
from tests.support.records.transformed import TABLES, Item, Migration
from utils.dynamodb import scan_segments
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_text import attributes_of
from utils.dynamodb.table_reader import TableReader
from utils.embedded.aws import EmbeddedAws
from utils.files.spill import Spill
from utils.telemetry.tasks import Tasks
from validate.indexes.index_entries import keys_of_item
from validate.indexes.index_findings import IndexFindings
from validate.indexes.whole_indexes import compare_indexes

SALES = TABLES["sales"]
Change = Callable[[list[Item]], list[Item]]


class Alone:
    """Steps of one process."""

    def shared(
        self, work: Callable[[Any], Any], pieces: Iterable[Any], *, at_most: int | None = None
    ) -> Iterator[Any]:
        assert at_most == 1
        return map(work, pieces)

    def counted(
        self, _step: str, _entity: str, work: Callable[[Any], Any], pieces: Sequence[Any]
    ) -> Iterator[Any]:
        return map(work, pieces)


@dataclass(eq=False)
class Damage:
    """What becomes of the entries of one index on the way, in the first `most` answers."""

    index: str
    change: Change
    most: int = 1_000_000
    times: int = field(default=0, init=False)

    def __call__(self, request: Request, forward: Forward) -> Answer:
        answer = forward(request.body)
        if orjson.loads(request.body).get("IndexName") != self.index:
            return answer
        told = orjson.loads(answer.content)
        if self.times >= self.most or (request.operation == "Scan" and not told["Items"]):
            return answer  # the end of a scan stays its end
        self.times += 1
        told["Items"] = self.change(told["Items"])
        told["Count"] = told["ScannedCount"] = len(told["Items"])
        return Answer(200, orjson.dumps(told))


@contextmanager
def on_the_way(server: EmbeddedAws, damage: Damage) -> Iterator[str]:
    plan = Plan({damage: 1.0}, operations=frozenset({"Scan", "Query"}))
    with FaultyProxy(server, plan) as proxy:
        yield proxy.url


@pytest.fixture
def migration(judge: EmbeddedAws, tmp_path: Path) -> Migration:
    made = Migration(tmp_path, judge.endpoint_url)
    made.fill(sales=30)
    made.load()
    return made


def compared(migration: Migration, endpoint: str = "", waits: int = 0) -> dict[str, IndexFindings]:
    """Every index of the sales, as it is found over an endpoint."""
    target = migration.config.target
    if endpoint:
        migration = Migration(migration.root, endpoint, migration.records)
        object.__setattr__(migration.config.target, "sales_table", target.sales_table)
    reader = TableReader(DynamoDB(migration.config.target), RetryPolicy(2, 0.001))
    scratch = migration.workspace.scratch
    scratch.mkdir(exist_ok=True)
    spills = [Spill(scratch) for _ in SALES.indexes]
    for page in migration.client.get_paginator("scan").paginate(TableName=target.sales_table):
        for item in page["Items"]:
            for spill, entries in zip(spills, keys_of_item(item, SALES).entries, strict=True):
                spill.add(entries)
    left = [True] * waits
    with Tasks().task("verify", "sales", None) as task:
        return compare_indexes(
            Alone(),
            task,
            reader,
            target.sales_table,
            "sales",
            {index: spill.finish() for index, spill in zip(SALES.indexes, spills, strict=True)},
            records=30,
            scratch=scratch,
            processes=1,
            at_once=2,
            patience=lambda: lambda: bool(left and left.pop()),
        )


def wrong_in(found: dict[str, IndexFindings]) -> dict[str, list[str]]:
    return {
        name: sorted(entry.how for entry in each.wrong.entries)
        for name, each in found.items()
        if each.wrong.count
    }


def test_undamaged_indexes_agree_entry_by_entry(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_segments, "SEGMENT_ITEMS", 7)
    found = compared(migration)
    assert wrong_in(found) == {}
    assert [each.items for each in found.values()] == [30, 30, 30, 26]
    assert [each.entries for each in found.values()] == [30, 30, 30, 26]
    assert all(each.read_units > 0 for each in found.values())


def test_the_indexes_are_read_at_once(migration: Migration, judge: EmbeddedAws) -> None:
    asked: list[str] = []

    def note(request: Request, forward: Forward) -> Answer:
        if name := orjson.loads(request.body).get("IndexName"):  # else the test asks
            asked.append(name)
        return forward(request.body)

    with FaultyProxy(judge, Plan({note: 1.0}, operations=frozenset({"Scan"}))) as proxy:
        assert wrong_in(compared(migration, proxy.url)) == {}
    names = [index.name for index in SALES.indexes]
    assert set(asked[:2]) == set(names[:2])  # two at once
    last_of_the_first = len(asked) - 1 - asked[::-1].index(names[0])
    assert asked.index(names[-1]) < last_of_the_first  # none waits for another's end


def drop(items: list[Item]) -> list[Item]:
    return items[1:]


def double(items: list[Item]) -> list[Item]:
    return [*items[:1], *items]


FIRST, SECOND = SALES.indexes[0], SALES.indexes[1]


def test_what_an_index_lacks_is_named(migration: Migration, judge: EmbeddedAws) -> None:
    lost = migration.records["sales"][3][0]["PK"]["S"]

    def lose(items: list[Item]) -> list[Item]:
        return [item for item in items if item["PK"]["S"] != lost]

    with on_the_way(judge, Damage(FIRST.name, lose)) as endpoint:
        found = compared(migration, endpoint)
    assert wrong_in(found) == {FIRST.name: ["missing"]}
    (entry,) = found[FIRST.name].wrong.entries
    assert (entry.key.pk, entry.key.sk) == (lost, "METADATA")
    assert found[FIRST.name].entries == 29


def test_an_entry_of_an_item_that_is_gone_is_named(
    migration: Migration, judge: EmbeddedAws
) -> None:
    stale = {**migration.records["sales"][3][0], "PK": {"S": "SALE#gone"}}

    def keep(items: list[Item]) -> list[Item]:
        names = ("PK", "SK", FIRST.partition_key, FIRST.sort_key)
        return [{name: stale[name] for name in names}, *items]

    with on_the_way(judge, Damage(FIRST.name, keep)) as endpoint:
        found = compared(migration, endpoint)
    assert wrong_in(found) == {FIRST.name: ["stale"]}
    assert found[FIRST.name].wrong.entries[0].key.pk == "SALE#gone"


def test_an_entry_under_the_keys_of_before_is_named(
    migration: Migration, judge: EmbeddedAws
) -> None:
    late = migration.records["sales"][3][0]
    before = migration.records["sales"][4][0][SECOND.partition_key]

    def as_before(items: list[Item]) -> list[Item]:
        others = [item for item in items if item["PK"] != late["PK"]]
        names = ("PK", "SK", SECOND.sort_key)
        return [{SECOND.partition_key: before, **{name: late[name] for name in names}}, *others]

    with on_the_way(judge, Damage(SECOND.name, as_before)) as endpoint:
        found = compared(migration, endpoint)
    assert wrong_in(found) == {SECOND.name: ["other-keys"]}


def test_an_entry_that_is_there_twice_is_named(migration: Migration, judge: EmbeddedAws) -> None:
    with on_the_way(judge, Damage(FIRST.name, double)) as endpoint:
        found = compared(migration, endpoint)
    assert set(wrong_in(found)) == {FIRST.name}
    assert set(wrong_in(found)[FIRST.name]) == {"twice"}


@pytest.mark.parametrize("change", [drop, double])
def test_what_follows_late_is_no_fault(
    migration: Migration, judge: EmbeddedAws, change: Change
) -> None:
    with on_the_way(judge, Damage(FIRST.name, change, most=3)) as endpoint:
        found = compared(migration, endpoint, waits=8)
    assert wrong_in(found) == {}


def test_what_changes_between_the_scans_is_no_fault(migration: Migration) -> None:
    """The application confirms one sale, deletes another and adds a third after the table was
    read."""
    sales = migration.records["sales"]
    reader = migration.client.get_paginator("scan")
    pages = list(reader.paginate(TableName=migration.table("sales")))
    confirmed = {**sales[0][0], "status": {"S": "x"}, FIRST.partition_key: {"S": "STATUS#x"}}
    migration.put("sales", confirmed)
    migration.delete("sales", sales[1][0])
    migration.put("sales", {**sales[2][0], "PK": {"S": "SALE#new"}})

    class Before:
        def get_paginator(self, _name: str) -> Any:
            return self

        def paginate(self, **_: Any) -> Any:
            return pages

    migration.__dict__["client"] = Before()
    assert wrong_in(compared(migration)) == {}


def test_keys_and_attributes_of_items_are_compared() -> None:
    migration = Migration.__new__(Migration)
    migration.records = {}
    Migration.fill(migration)
    sale, line = migration.records["sales"][4][0], migration.records["sales"][4][1]
    buyer = migration.records["buyers"][0][0]

    def names(entity: str, item: Item) -> list[tuple[str, str]]:
        wrong = keys_of_item(item, TABLES[entity]).agreement.wrong.entries
        return [each for entry in wrong for each in entry.names]

    own = {name: value for name, value in sale.items() if name != "legacyId"}
    cases: list[tuple[str, Item, list[tuple[str, str]]]] = [
        ("sales", sale, []),
        ("sales", {**sale, "status": {"S": "draft"}}, [("GSI1PK", "status")]),
        ("sales", {**own, "GSI2PK": {"S": "BUYER#x"}}, [("GSI2PK", "buyerId")]),
        ("sales", {**sale, "GSI4SK": {"S": "2024"}}, [("GSI4SK", "saleDate")]),
        ("sales", {n: v for n, v in sale.items() if n != "GSI4PK"}, [("GSI4SK", "")]),
        ("sales", {n: v for n, v in sale.items() if n != "GSI1PK"}, [("GSI1PK", "status")]),
        ("sales", {n: v for n, v in own.items() if n[:3] != "GSI"}, []),
        ("sales", {**sale, "GSI1Q": {"S": "between"}}, []),
        ("sales", {**line, "GSI1PK": {"S": "STATUS#x"}}, [("GSI1PK", "")]),
        ("sales", line, []),
        ("buyers", buyer, []),
        ("buyers", {**buyer, "GSI1SK": {"S": "Other"}}, [("GSI1SK", "companyName")]),
        ("buyers", {**buyer, "country": {"S": "AT"}}, [("GSI2PK", "country")]),
    ]
    assert [names(entity, item) for entity, item, _ in cases] == [due for *_, due in cases]
    assert attributes_of(sale) != attributes_of(line)
