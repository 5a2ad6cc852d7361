"""What does not agree at first is read again, before it is said to be wrong.

An index follows its table after a moment, the application lives, and an item that moves in an index
while that is scanned may be seen twice or not at all. So the item is read strongly consistent, the
index is asked for exactly the keys in question, and that again for as long as there is patience.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice

from utils.dynamodb.answer_shapes import consumed
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, Index, TableSpec
from validate.compare.differences import ItemKey
from validate.indexes.index_entries import (
    EntryKeys,
    attributes_of_index,
    entry_keys,
    keys_of_item,
    value_of,
)
from validate.indexes.index_findings import (
    MISSING,
    OTHER_KEYS,
    STALE,
    TWICE,
    KeyAgreement,
    WrongEntry,
    WrongKeys,
)
from validate.indexes.index_passes import Doubtful

AT_ONCE = 16
WAVE = 4_000  # doubtful items that are read again together
_NO_KEY = b"null"

Wait = Callable[[], bool]


@dataclass(frozen=True)
class Doubt:
    """An item about which table and index do not agree, with the keys that either has shown, and
    what this looks like."""

    pk: bytes
    sk: bytes
    seen: tuple[EntryKeys, ...]
    how: str


@dataclass
class SecondLook:
    """Reads items of a table and entries of one of its indexes again; `wait` waits a while, False
    when there is no time left. `units` are the read units that it took."""

    reader: TableReader
    table: str
    index: Index
    wait: Wait
    units: float = field(default=0.0, init=False)

    def wrong_of(self, lines: Iterable[Doubtful]) -> Iterator[WrongEntry]:
        """What stays wrong of doubtful lines, which are in the order of their keys.

        Where all of a whole wave stay wrong, nothing is read again any more: an index that is
        wrong as a whole is not asked a million times.
        """
        doubts = _doubts(lines)
        believed = False
        while wave := list(islice(doubts, WAVE)):
            if believed:
                yield from (self._entry(doubt, doubt.how) for doubt in wave)
                continue
            found = self._asked(wave)
            believed = len(found) == WAVE
            yield from found

    def _asked(self, wave: Sequence[Doubt]) -> list[WrongEntry]:
        """What stays wrong of a wave."""
        wrong: dict[int, WrongEntry] = {}
        due = list(range(len(wave)))
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="second-look") as pool:
            while due:
                answers = pool.map(self._ask, [wave[number] for number in due])
                for number, (how, units) in zip(due, answers, strict=True):
                    self.units += units
                    wrong.pop(number, None)
                    if how:
                        wrong[number] = self._entry(wave[number], how)
                due = [number for number in due if number in wrong]
                if due and not self.wait():
                    break
        return [wrong[number] for number in sorted(wrong)]

    def _ask(self, doubt: Doubt) -> tuple[str, float]:
        """What is wrong about an item now, "" when nothing is; and the read units of asking."""
        key = {PARTITION_KEY: value_of(doubt.pk), SORT_KEY: value_of(doubt.sk)}
        request = {
            "TableName": self.table,
            "Key": key,
            "ConsistentRead": True,
            "ProjectionExpression": ", ".join(attributes_of_index(self.index)),
        }
        answer = self.reader.ask("GetItem", request)
        units = consumed("GetItem", answer)
        due = entry_keys(answer["Item"], self.index) if answer.get("Item") else None
        if due is not None and _NO_KEY in (due.partition, due.sort):
            due = None
        others = 0
        for seen in doubt.seen:
            if seen != due:
                times, taken = self._times(seen)
                others += times
                units += taken
        if due is None:
            return (STALE if others else ""), units
        times, taken = self._times(due)
        return _how(times, others), units + taken

    def _times(self, keys: EntryKeys) -> tuple[int, float]:
        """How often an item is in the index under these keys, and the read units of asking."""
        index, units, times = self.index, 0.0, 0
        if keys.partition == _NO_KEY:
            return 0, 0.0  # such an entry there cannot be
        condition, values = f"{index.partition_key} = :p", {":p": value_of(keys.partition)}
        if keys.sort != _NO_KEY:
            condition += f" AND {index.sort_key} = :s"
            values[":s"] = value_of(keys.sort)
        request = {
            "TableName": self.table,
            "IndexName": index.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ProjectionExpression": ", ".join(attributes_of_index(index)),
            "ReturnConsumedCapacity": "TOTAL",
        }
        for answer in self.reader.pages("Query", request, keys=(PARTITION_KEY, SORT_KEY)):
            times += sum(entry_keys(item, index) == keys for item in answer["Items"])
            units += consumed("Query", answer)
        return times, units

    def _entry(self, doubt: Doubt, how: str) -> WrongEntry:
        return WrongEntry(ItemKey.of(doubt.pk, doubt.sk), self.index.name, how)


def _how(times: int, others: int) -> str:
    if not times:
        return OTHER_KEYS if others else MISSING
    if times > 1:
        return TWICE
    return STALE if others else ""


def _doubts(lines: Iterable[Doubtful]) -> Iterator[Doubt]:
    """The items of doubtful lines, those of one PK beside each other."""
    parted = ((EntryKeys.of(line), how) for line, how in lines)
    for pk, group in groupby(parted, key=lambda each: each[0].pk):
        items: dict[bytes, dict[EntryKeys, str]] = {}
        for keys, how in group:
            items.setdefault(keys.sk, {})[keys] = how
        for sk, seen in items.items():
            hows = set(seen.values())
            how = OTHER_KEYS if len(hows) > 1 else hows.pop()
            yield Doubt(pk, sk, tuple(seen), how)


def agreed(
    agreement: KeyAgreement, reader: TableReader, table: str, spec: TableSpec, wait: Wait
) -> KeyAgreement:
    """An agreement of keys and attributes, of which the listed disagreements are those that are
    still there when the items are read again."""

    def ask(entry: WrongKeys) -> list[WrongKeys]:
        key = {PARTITION_KEY: _value(entry.key.pk), SORT_KEY: _value(entry.key.sk)}
        request = {"TableName": table, "Key": key, "ConsistentRead": True}
        item = reader.ask("GetItem", request).get("Item")
        return keys_of_item(item, spec).agreement.wrong.entries if item else []

    wrong = agreement.wrong
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="second-look") as pool:
        while wrong.entries:
            still = [each for found in pool.map(ask, wrong.entries) for each in found]
            wrong.count -= len(wrong.entries) - len(still)
            wrong.entries = still
            if not wait():
                break
    return agreement


def _value(key: object) -> object:
    """The attribute value of a part of a key as `ItemKey` has it."""
    return {"S": key} if isinstance(key, str) else key
