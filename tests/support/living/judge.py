"""The judge of a sync: the tables hold exactly what a fresh `--full` into empty tables holds, plus
what is the application's.

Record by record, since the record is what the application's work is decided by:

- A record that the application has never written to is as the fresh migration has it, item by item,
  and there is nothing else under its key; if the fresh one does not have it, it is gone.
- A record that the application has written to has every attribute as the application left it last.
  Its other items are as a pass has written them: now (the fresh migration), or earlier, since the
  whole record stays when S9 has changed it, too.
- A record that the fresh migration lacks may be there for a reason: it is in quarantine and
  `sync.refused` keeps it; `sync.removed` keeps it, or has deleted it softly (what opens it bears
  `deletedAt` then); or it is a party that a sale names which is there. It is as a pass has written
  it. A reason of the past is none: when the sale goes that named a party, the party goes.
- Whom a sale names that is not deleted is there.

Of the numbering (GSI4, which depends on all sales of a year) nothing is forgiven to records that
are S9's alone: the keys of all of them follow from S9 as it is, as in the fresh migration, whatever
the application's sales and those that stay have. These bear the keys that the application or an
earlier pass gave them: they may be a second last sale of the year, which is the API's own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.application.sale_module import SaleModule
from utils.config import DELETE, KEEP, SOFT_DELETE
from utils.dynamodb.item_content import is_same
from utils.dynamodb.table_spec import is_mark

Item = Mapping[str, Any]
Key = tuple[str, str]
Contents = Mapping[str, Mapping[Key, Item]]
HEADER = "METADATA"
_SOFT = ("deletedAt", "updatedAt")  # and who has not changed it


@dataclass
class Written:
    """What passes have written under each key, ever."""

    items: dict[Key, list[Item]] = field(default_factory=dict)

    def add(self, contents: Contents) -> None:
        """Take a pass into account."""
        for items in contents.values():
            for key, item in items.items():
                known = self.items.setdefault(key, [])
                if not any(is_same(item, each) for each in known):
                    known.append(item)

    def has(self, key: Key, item: Item) -> bool:
        """Whether an item is what a pass has written."""
        return any(is_same(item, each) for each in self.items.get(key, ()))

    def has_but_for(self, key: Key, item: Item, *names: str) -> bool:
        """The same, whatever some attributes are."""
        rest = _without(item, *names)
        return any(is_same(rest, _without(each, *names)) for each in self.items.get(key, ()))


@dataclass(frozen=True)
class Judge:
    """Compares tables with what a fresh migration gives. `refused` are the partition keys of the
    records that are in quarantine now."""

    fresh: Contents
    written: Written
    application: SaleModule
    refused: frozenset[str] = frozenset()
    removed: str = DELETE
    when_refused: str = KEEP

    def problems(self, tables: Contents) -> list[str]:
        """What is not as it is to be."""
        there = {name: _by_record(items) for name, items in tables.items()}
        fresh = {name: _by_record(items) for name, items in self.fresh.items()}
        named = set(_named(there["sales"]))
        found = []
        for entity, records in there.items():
            for pk in sorted(records.keys() | fresh[entity].keys()):
                now, wanted = records.get(pk, {}), fresh[entity].get(pk, {})
                found += [f"{entity} {each}" for each in self._record(pk, now, wanted, named)]
        everything = {key: dict(item) for items in tables.values() for key, item in items.items()}
        return [*found, *self.application.undone(everything), *_dangling(there)]

    def _record(
        self, pk: str, now: Mapping[str, Item], wanted: Mapping[str, Item], named: set[str]
    ) -> Iterator[str]:
        touched = {sk for of, sk in self.application.done if of == pk}
        if touched:
            yield from self._touched(pk, now, wanted, touched)
        elif wanted:
            yield from _differences(pk, now, wanted)
        elif not self._may_stay(pk, now, named):
            yield f"{pk}: {sorted(now)} left over"
        else:
            yield from self._stays(pk, now)

    def _touched(
        self, pk: str, now: Mapping[str, Item], wanted: Mapping[str, Item], touched: set[str]
    ) -> Iterator[str]:
        if HEADER not in now:
            yield f"{pk}: touched by the application, and without a header"
        elif "createdAt" not in now[HEADER]:
            yield f"{pk}: only {sorted(now[HEADER])} is left"
        for sk in sorted(now.keys() - touched):
            is_known = is_same(now[sk], wanted.get(sk)) or self.written.has((pk, sk), now[sk])
            if not is_known:
                yield f"{pk} {sk}: touched by the application, and this item is nobody's"

    def _may_stay(self, pk: str, now: Mapping[str, Item], named: set[str]) -> bool:
        """Whether there is a reason for a record that the fresh migration lacks."""
        if pk in self.refused and self.when_refused == KEEP:
            return True
        if self.removed == KEEP or pk in named:
            return True
        return self.removed == SOFT_DELETE and "deletedAt" in now.get(HEADER, {})

    def _stays(self, pk: str, now: Mapping[str, Item]) -> Iterator[str]:
        """What is wrong with a record that stays: it is to be as it was written."""
        for sk, item in now.items():
            soft = self.removed == SOFT_DELETE and sk == HEADER and "deletedAt" in item
            # Its place in the numbering may have been another one when it was written.
            names = ("GSI4PK", "GSI4SK", *(_SOFT if soft else ()))
            if not self.written.has_but_for((pk, sk), item, *names):
                yield f"{pk} {sk}: stays, and is not as a pass has written it"


def contents_of(tables: Contents) -> dict[str, dict[Key, Item]]:
    """Scanned tables without what says that a load is at work."""
    return {
        name: {key: item for key, item in items.items() if not is_mark(item)}
        for name, items in tables.items()
    }


def _differences(pk: str, now: Mapping[str, Item], wanted: Mapping[str, Item]) -> Iterator[str]:
    for sk in sorted(now.keys() | wanted.keys()):
        if sk not in now:
            yield f"{pk} {sk}: missing"
        elif sk not in wanted:
            yield f"{pk} {sk}: should not be there"
        elif not is_same(now[sk], wanted[sk]):
            names = sorted(
                name
                for name in now[sk].keys() | wanted[sk].keys()
                if now[sk].get(name) != wanted[sk].get(name)
            )
            pairs = [f"{name} {now[sk].get(name)} not {wanted[sk].get(name)}" for name in names]
            yield f"{pk} {sk}: {', '.join(pairs)}"


def _named(sales: Mapping[str, Mapping[str, Item]]) -> Iterator[str]:
    """The partition keys of the parties of sales."""
    for record in sales.values():
        header = record.get(HEADER, {})
        for name, kind in (("buyerId", "BUYER"), ("producerId", "PRODUCER")):
            if name in header:
                yield f"{kind}#{header[name]['S']}"


def _dangling(there: Mapping[str, Mapping[str, Mapping[str, Item]]]) -> Iterator[str]:
    parties = there["buyers"].keys() | there["producers"].keys()
    for pk, record in sorted(there["sales"].items()):
        if "deletedAt" not in record.get(HEADER, {}):
            for party in _named({pk: record}):
                if party not in parties:
                    yield f"{pk}: {party} is nowhere"


def _by_record(items: Mapping[Key, Item]) -> dict[str, dict[str, Item]]:
    records: dict[str, dict[str, Item]] = {}
    for (pk, sk), item in items.items():
        records.setdefault(pk, {})[sk] = item
    return records


def _without(item: Item, *names: str) -> Item:
    return {name: value for name, value in item.items() if name not in names}
