"""Taking away what S9 no longer has: what it takes, what it leaves, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.conflicts.replaced_items import ReplacedItems
from load.load_state import LoadState
from load.rollback.report import Rolled
from load.sync.removal import RemovalFigures, remove
from load.writing.transactions import Transactions
from tests.support.application.desk import Desk, one_session
from tests.support.application.parties_and_sales import sale_of, two_parties
from tests.support.records.transformed import TABLES, Item, identity, party, sale
from utils.config import SyncConfig
from utils.embedded.aws import EmbeddedAws
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.files.artifacts import lines_of, starts_record
from utils.reports.report_schemas import problems_of
from utils.run.lifecycle import Start, end
from utils.run.run import Run

Tables = dict[tuple[str, str], dict[str, Any]]
SALE = f"SALE#{identity('sale', 3)}"
BUYER = f"BUYER#{identity('buyer', 2)}"
LATER = {"S": "2031-05-04T03:02:01.000Z"}


class Syncing(Desk):
    """A desk at which S9 loses records after it was loaded."""

    def lose(self, **numbers: Collection[int]) -> None:
        """S9 has these records, by entity and key, no more; the rest is in the tables as it is."""
        gone: dict[str, list[list[Item]]] = {name: [] for name in TABLES}
        for name, keys in numbers.items():
            for record in list(self.records[name]):
                if int(record[0]["legacyId"]["S"]) in keys:
                    self.records[name].remove(record)
                    gone[name].append(record)
        with self.at_work(Start.ANEW) as run:
            self.prepare(run)
            self.load_phase(run)
            for name, records in gone.items():
                lines = [orjson.dumps({"Item": item}) for record in records for item in record]
                self.workspace.removed(name).write_bytes(b"".join(line + b"\n" for line in lines))
            end(run, ExitCode.DONE)

    def set(self, removed: str = "delete", refused: str = "keep") -> None:
        self.config = replace(self.config, sync=SyncConfig(removed, refused))

    def remove(
        self,
        refused: Mapping[str, Collection[str]] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
        *,
        writes: bool = True,
    ) -> dict[str, RemovalFigures]:
        """Take away what is lost; `meanwhile` happens before the second look."""
        run = Run(self.config, self.workspace, self.manifest())

        def sleep(_seconds: float) -> None:
            meanwhile()

        with run.workers:
            return remove(
                run,
                TABLES,
                ENTITY_NAMES,
                refused or {},
                sleep=sleep,
                writes=writes,
            )

    def report(self, name: str = "removed") -> dict[str, Any]:
        """The report, which is as its schema says."""
        content = self.workspace.report(name).read_bytes()
        assert problems_of("removed", content) == []
        document: dict[str, Any] = orjson.loads(content)
        return document

    def listed(self) -> list[tuple[str, str, str | None]]:
        """What the report says of each record: what, why, and who names it."""
        return [(each["what"], each["reason"], each["usedBy"]) for each in self.report()["records"]]

    def staying(self, entity: str) -> list[Item]:
        path = self.workspace.staying(entity)
        return [orjson.loads(line)["Item"] for line in lines_of(path)] if path.exists() else []

    def change(self, pk: str, sk: str, entity: str = "sales", **attributes: Any) -> None:
        """As the application does it, who does not look whether there is anything."""
        values = {"updatedAt": LATER, "updatedBy": {"S": "someone@example.com"}, **attributes}
        self.client.update_item(
            TableName=self.table(entity),
            Key={"PK": {"S": pk}, "SK": {"S": sk}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    with one_session():
        yield


@pytest.fixture
def desk(aws: EmbeddedAws, tmp_path: Path) -> Iterator[Syncing]:
    """Two buyers, two producers, and four sales, of which the third and fourth are those of the
    second parties; loaded."""
    made = Syncing(tmp_path / "data", aws.endpoint_url)
    made.records = two_parties()
    sales = [sale_of(n, buyer=1 + (n > 2), lines=n % 3) for n in range(1, 5)]
    made.records["sales"] = sales
    made.full()
    yield made
    made.drop()


def without(tables: Tables, *pks: str) -> Tables:
    return {key: item for key, item in tables.items() if key[0] not in pks}


def test_what_s9_has_lost_goes_and_comes_back_item_by_item(desk: Syncing) -> None:
    loaded = desk.scan()
    desk.lose(sales=[3, 4], buyers=[2], producers=[2])
    foreseen = desk.remove(writes=False)
    assert desk.scan() == loaded
    assert (
        not desk.workspace.before("sales").exists()
        or not ReplacedItems(desk.workspace.before("sales")).count()
    )
    figures = desk.remove()
    assert desk.listed() == [("deleted", "", None)] * 4
    assert {name: each.deleted for name, each in figures.items()} == {
        "buyers": 1,
        "producers": 1,
        "sales": 2,
    }
    assert {n: each.deleted for n, each in foreseen.items()} == {
        n: each.deleted for n, each in figures.items()
    }
    gone = {f"SALE#{identity('sale', n)}" for n in (3, 4)}
    gone |= {f"{kind.upper()}#{identity(kind, 2)}" for kind in ("buyer", "producer")}
    assert desk.scan() == without(loaded, *gone)
    assert [desk.staying(name) for name in ENTITY_NAMES] == [[], [], []]
    again = desk.remove()
    assert desk.scan() == without(loaded, *gone)
    assert {n: (e.deleted, e.deleted_items) for n, e in again.items()} == {
        n: (e.deleted, e.deleted_items) for n, e in figures.items()
    }
    rolled = desk.rollback()
    assert desk.scan() == loaded
    assert brought_back(rolled) == {"buyers": 1, "producers": 1, "sales": 3}


def test_what_the_application_has_touched_stays_whole(desk: Syncing) -> None:
    first, second = (f"SALE#{identity('sale', n)}" for n in (1, 2))
    third = f"SALE#{identity('sale', 4)}"
    line = desk.records["sales"][0][1]["SK"]["S"]
    desk.change(first, line, quantity={"N": "7"})
    desk.change(second, "ATTACHMENT#1")
    desk.client.delete_item(
        TableName=desk.table("sales"),
        Key={"PK": {"S": third}, "SK": {"S": desk.records["sales"][3][1]["SK"]["S"]}},
    )
    loaded = desk.scan()
    ours = {name: list(records) for name, records in desk.records.items()}
    desk.lose(sales=[1, 2, 3, 4], buyers=[1, 2])
    loaded = desk.scan()
    figures = desk.remove()
    assert desk.scan() == without(loaded, SALE)
    assert figures["sales"].kept == {"changed": 3}
    assert figures["buyers"].kept == {"inUse": 2}
    records = {each["PK"]: each for each in desk.report()["records"]}
    changed = {"SK": line, "what": "changed", "attributes": ["quantity", "updatedAt", "updatedBy"]}
    assert records[first]["changes"] == [changed]
    assert [each["what"] for each in records[second]["changes"]] == ["added"]
    assert [each["what"] for each in records[third]["changes"]] == ["deleted"]
    assert records[BUYER]["usedBy"] == third
    # What we last wrote of them, in S9's order, is what the next sync knows.
    wanted = [item for n, record in enumerate(ours["sales"]) if n != 2 for item in record]
    assert desk.staying("sales") == wanted
    assert desk.staying("buyers") == [item for record in ours["buyers"] for item in record]
    desk.rollback()
    assert desk.scan() == loaded


def test_the_numbering_and_another_migration_s_time_are_no_change(desk: Syncing) -> None:
    """Other sales of the year decide the one, and rows without a time have the other."""
    desk.records["sales"].append(sale(8, lines=1))
    desk.records["buyers"].append([party("buyer", 3)])
    desk.full()
    ours, theirs = "2026-01-01T00:00:00.000Z", {"S": "2025-05-05T00:00:00.000Z"}
    header = desk.records["sales"][-1][0]
    renumbered = {name: value for name, value in header.items() if not name.startswith("GSI4")}
    desk.client.put_item(TableName=desk.table("sales"), Item=renumbered)
    buyer = desk.records["buyers"][-1][0]
    item = {**buyer, "createdAt": theirs, "updatedAt": theirs}
    desk.lose(sales=[8])
    desk.client.put_item(TableName=desk.table("buyers"), Item=item)
    buyer |= {"createdAt": {"S": ours}, "updatedAt": {"S": ours}}
    line = orjson.dumps({"Item": buyer}) + b"\n"
    desk.workspace.removed("buyers").write_bytes(line)
    state = LoadState.load(desk.workspace.load_state("buyers"))
    assert state is not None
    state.own_time, state.other_times = ours, [theirs["S"]]
    state.save()
    loaded = desk.scan()
    desk.remove()
    assert desk.scan() == without(loaded, header["PK"]["S"], buyer["PK"]["S"])
    desk.rollback()
    assert {**desk.scan()} == loaded


def test_soft_deletes_are_the_sale_module_s_and_are_undone(desk: Syncing) -> None:
    loaded = desk.scan()
    desk.set("softDelete")
    desk.lose(sales=[3, 4], buyers=[2], producers=[1])
    assert desk.remove(writes=False)["buyers"].soft_deleted == 1
    figures = desk.remove()
    assert {name: each.soft_deleted for name, each in figures.items()} == {
        "buyers": 1,
        "producers": 0,  # sales that stay name it
        "sales": 2,
    }
    softly = desk.scan()
    times = {item["deletedAt"]["S"] for item in softly.values() if "deletedAt" in item}
    (time,) = times
    stamps = {"deletedAt": {"S": time}, "updatedAt": {"S": time}}
    headers = {(pk, "METADATA") for pk in (SALE, f"SALE#{identity('sale', 4)}", BUYER)}
    assert softly == {
        key: {**item, **stamps} if key in headers else item for key, item in loaded.items()
    }
    assert desk.staying("buyers") == [softly[BUYER, "METADATA"]]
    assert [item for item in desk.staying("sales") if "deletedAt" in item] == [
        softly[SALE, "METADATA"],
        softly[f"SALE#{identity('sale', 4)}", "METADATA"],
    ]
    assert starts_record(next(lines_of(desk.workspace.staying("sales"))))
    desk.remove()  # again: all of it has one time
    assert desk.scan() == softly
    rolled = desk.rollback()
    assert desk.scan() == loaded
    assert brought_back(rolled) == {"buyers": 1, "producers": 0, "sales": 2}


def test_what_was_deleted_softly_stays_so_in_the_next_pass_and_goes_when_asked(
    desk: Syncing,
) -> None:
    desk.set("softDelete")
    desk.lose(sales=[3])
    desk.remove()
    softly = desk.scan()
    known = desk.workspace.staying("sales").read_bytes()
    desk.lose()
    desk.workspace.removed("sales").write_bytes(known)
    figures = desk.remove()
    assert (figures["sales"].soft_deleted, figures["sales"].kept) == (0, {"policy": 1})
    assert desk.scan() == softly
    assert desk.workspace.staying("sales").read_bytes() == known
    desk.set("delete")
    desk.remove()
    assert desk.scan() == without(softly, SALE)
    desk.rollback()
    assert desk.scan() == softly


@pytest.mark.parametrize("policy", ["kept", "refused are removed"])
def test_what_is_kept_by_the_settings_is_listed(desk: Syncing, policy: str) -> None:
    loaded = desk.scan()
    desk.set("keep" if policy == "kept" else "delete", "remove" if policy != "kept" else "keep")
    desk.lose(sales=[3, 4])
    figures = desk.remove({"sales": ["4"]})
    if policy == "kept":
        assert figures["sales"].kept == {"policy": 1, "refused": 1}
        assert desk.scan() == loaded
        assert len(desk.staying("sales")) == 3
    else:
        assert figures["sales"].deleted == 2
    desk.set()
    assert desk.remove({"sales": ["4"]})["sales"].kept == (
        {"refused": 1} if policy == "kept" else {}
    )


def test_what_is_written_between_the_looks_puts_a_record_back(desk: Syncing) -> None:
    """The application had read it before: it finds what it has changed, and all the rest."""
    desk.lose(sales=[3, 4], buyers=[2], producers=[2])
    loaded = desk.scan()

    def meanwhile() -> None:
        desk.change(SALE, "METADATA", notes={"S": "late"})

    figures = desk.remove(meanwhile=meanwhile)
    edited = {**loaded[SALE, "METADATA"], "notes": {"S": "late"}, "updatedAt": LATER}
    edited["updatedBy"] = {"S": "someone@example.com"}
    expected = {**loaded, (SALE, "METADATA"): edited}
    assert desk.scan() == without(expected, f"SALE#{identity('sale', 4)}")
    assert figures["sales"].kept == {"changed": 1}
    assert figures["buyers"].kept == {"inUse": 1}
    assert desk.report()["records"][0]["usedBy"] == SALE


def test_a_party_that_gets_a_sale_just_then_comes_back(desk: Syncing) -> None:
    desk.lose(sales=[3, 4], buyers=[2])
    loaded = desk.scan()
    theirs = {**sale(99, buyer=2)[0], "createdBy": {"S": "someone@example.com"}}
    del theirs["legacyId"]

    def meanwhile() -> None:
        desk.client.put_item(TableName=desk.table("sales"), Item=theirs)

    desk.remove(meanwhile=meanwhile)
    key = (theirs["PK"]["S"], "METADATA")
    gone = [f"SALE#{identity('sale', n)}" for n in (3, 4)]
    assert desk.scan() == {**without(loaded, *gone), key: theirs}
    assert [each["usedBy"] for each in desk.report()["records"] if each["usedBy"]] == [key[0]]


class Killed(Exception):
    """What is at work ends here."""


@pytest.mark.parametrize("removed", ["delete", "softDelete"])
def test_killed_at_any_write_and_called_again_it_ends_the_same(
    desk: Syncing, removed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a sale that no transaction takes whole."""
    desk.records["sales"].append(sale_of(6, buyer=2, lines=230))
    desk.full()
    loaded = desk.scan()
    desk.set(removed)
    desk.lose(sales=[3, 4, 6], buyers=[2])
    write_all = Transactions.write_all
    left = 0

    def killed_at(self: Transactions, some: Any, *, done: bool) -> Any:
        nonlocal left
        left -= len(some)
        if left < 0 and not done:
            raise Killed
        outcomes = write_all(self, some)
        if left < 0:
            raise Killed
        return outcomes

    for nth in range(9):
        left = nth // 2
        with monkeypatch.context() as patch, suppress(Killed):
            killing = partialmethod(killed_at, done=bool(nth % 2))
            patch.setattr(Transactions, "write_all", killing)
            desk.remove()
    figures = desk.remove()
    done = desk.scan()
    if removed == "delete":
        gone = [BUYER, *(f"SALE#{identity('sale', n)}" for n in (3, 4, 6))]
        assert done == without(loaded, *gone)
        assert figures["sales"].deleted_items == 234
    else:
        assert len({i["deletedAt"]["S"] for i in done.values() if "deletedAt" in i}) == 1
        assert figures["sales"].soft_deleted == 3
    rolled = desk.rollback()
    assert desk.scan() == loaded
    assert brought_back(rolled)["sales"] == (234 if removed == "delete" else 3)


def test_cut_short_and_rolled_back_at_once_nothing_is_lost(
    desk: Syncing, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.records["sales"].append(sale_of(6, buyer=2, lines=230))
    desk.full()
    loaded = desk.scan()
    desk.lose(sales=[6])
    write = Transactions.write

    def killed(self: Transactions, some: Any) -> bool:
        assert write(self, some)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Transactions, "write", killed)
        desk.remove()
    assert len(desk.scan()) == len(loaded) - 100
    desk.rollback()
    assert desk.scan() == loaded


def test_all_of_an_entity_goes(desk: Syncing) -> None:
    loaded = desk.scan()
    desk.lose(sales=[1, 2, 3, 4], buyers=[1, 2], producers=[1, 2])
    desk.remove()
    assert desk.scan() == {}
    desk.rollback()
    assert desk.scan() == loaded


def brought_back(rolled: Rolled) -> dict[str, int]:
    found = rolled.figures
    return {name: found[name].brought_back if name in found else 0 for name in ENTITY_NAMES}
