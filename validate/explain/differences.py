"""Attribute by attribute: a record as S9 has it now, as the file has it, as the table has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from utils.dynamodb.item_content import STAMPS, Item, differing_attributes, digest, line_of
from utils.dynamodb.item_text import attributes_of_line, text_of_item
from utils.entities import Shape
from utils.findings.shown_records import shown_value
from utils.findings.shown_values import stored
from utils.item_schemas import declared
from utils.wording.masking import shows_personal_data
from validate.explain.explained import AttributeDifference
from validate.explain.target_record import HEAD, text_of

SHOWN = 20  # differences, and items that are compared attribute by attribute
# What an operator knows a record by, in this order.
_MAIN = (
    *("companyName", "code", "country", "saleNumber", "saleDate", "status", "currency"),
    *("subtotal", "taxAmount", "total", "linesCount", "updatedAt", "updatedBy"),
)
_NUMBERING = "GSI4"  # decided over all sales of a year (utils/sale_numbering.py)


@dataclass(frozen=True)
class Since:
    """What S9 has changed of a record since it was extracted: items that differ, by sort key, in
    the order of the file; those that are new, and those that are gone."""

    different: Sequence[str] = ()
    new: Sequence[str] = ()
    gone: Sequence[str] = ()

    @property
    def any(self) -> bool:
        return bool(self.different or self.new or self.gone)


def since(now: Sequence[bytes], file: Sequence[bytes]) -> Since:
    """How the lines that a row becomes now stand with those of the file."""
    before = {_sort_key(line): _content(line) for line in file}
    after = {_sort_key(line): _content(line) for line in now}
    return Since(
        [key for key, text in before.items() if key in after and after[key] != text],
        [key for key in after if key not in before],
        [key for key in before if key not in after],
    )


def _sort_key(line: bytes) -> str:
    return str(orjson.loads(line)["Item"]["SK"]["S"])


def _content(line: bytes) -> bytes:
    """The digest of an item without its place in the numbering."""
    attributes = attributes_of_line(line)
    own = [each for each in attributes if not each.startswith(_NUMBERING.encode())]
    return digest(text_of_item(own))


def as_in_target(lines: Sequence[bytes], head: Item | None, moment: str) -> list[bytes]:
    """The lines that a row becomes, with what the table's record has for what nobody knows here:
    its place in the numbering, which is decided over all sales of a year, and the migration's own
    time, for which `moment` stands ("": it is known)."""
    return [_as_in_target(line, head or {}, moment) for line in lines]


def _as_in_target(line: bytes, head: Item, moment: str) -> bytes:
    item = orjson.loads(line)["Item"]
    if item["SK"]["S"] == HEAD:
        item = {name: value for name, value in item.items() if not name.startswith(_NUMBERING)}
        item |= {name: value for name, value in head.items() if name.startswith(_NUMBERING)}
    for name in STAMPS:
        if moment and item.get(name) == {"S": moment} and name in head:
            item[name] = head[name]
    return line_of(item) + b"\n"


@dataclass
class Attributes:
    """Gathers what is to be shown of the attributes: the main ones of the record, and the first
    `SHOWN` of all those that differ (`count`). `sides` says which of S9, the file and the table
    could be asked: there an item that is None is absent."""

    shape: Shape
    sides: tuple[bool, bool, bool]
    count: int = 0
    found: list[AttributeDifference] = field(default_factory=list)

    def add(self, sort_key: str, *items: Item | None) -> None:
        """Compare one item on the three sides."""
        asked = [item or {} for item, known in zip(items, self.sides, strict=True) if known]
        differing: set[str] = set()
        for one, other in pairwise(asked):
            differing.update(differing_attributes(one, other))
        # Of a row that was transformed alone nobody knows its place in the numbering.
        without_file = self.sides[0] and not self.sides[1]
        differing = {
            name for name in differing if not self._is_no_difference(name, items, without_file)
        }
        main = [name for name in _MAIN if name in self._declared] if sort_key == HEAD else []
        shown = [name for name in main if any(name in item for item in asked)]
        for name in (*shown, *_in_order(differing.difference(shown), asked)):
            self.count += name in differing
            if name in shown or self.count <= SHOWN:
                values = [self._shown(sort_key, name, item) for item in items]
                if name.startswith(_NUMBERING):
                    values[0] = None
                difference = AttributeDifference(sort_key, name, name in differing, *values)
                self.found.append(difference)

    @property
    def differing(self) -> list[AttributeDifference]:
        """Those that differ."""
        return [each for each in self.found if each.differs]

    @property
    def _declared(self) -> Mapping[str, object]:
        return declared(self.shape.schema)

    def _is_no_difference(
        self, name: str, items: Sequence[Item | None], without_file: bool
    ) -> bool:
        if not name.startswith(_NUMBERING):
            return False
        _, file, target = ((item or {}).get(name) for item in items)
        return without_file or not self.sides[2] or file == target

    def _shown(self, sort_key: str, name: str, item: Item | None) -> str | None:
        if item is None or name not in item:
            return None
        children = self.shape.children
        is_child = bool(children and sort_key.startswith(children.prefix))
        schema = children.schema if children and is_child else self.shape.schema
        if name == "legacy":
            return _legacy(item[name])
        return shown_value(stored(item[name]), schema, name)


def _in_order(names: Iterable[str], items: Sequence[Item]) -> list[str]:
    order = {name: n for item in items for n, name in enumerate(item)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _legacy(value: Mapping[str, Any]) -> str:
    """What S9 had and has no place: which columns, and with `--show-personal-data` their values."""
    own = value.get("M", {})
    if not shows_personal_data():
        return ", ".join(sorted(own)) if isinstance(own, dict) else ""
    return orjson.dumps(own, option=orjson.OPT_SORT_KEYS).decode()


def items_of(lines: Iterable[bytes], wanted: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
    """The items of lines whose sort keys are wanted, by these."""
    found = {}
    for line in lines:
        item: dict[str, Any] = orjson.loads(line)["Item"]
        if wanted(text_of(item, "SK")):
            found[text_of(item, "SK")] = item
    return found
