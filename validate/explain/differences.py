"""Attribute by attribute: a record as S9 has it now, as the file has it, and as the table has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.dynamodb.item_content import Item, differing_attributes, digest
from utils.dynamodb.item_text import attributes_of_line, text_of_item
from utils.entities import Shape
from utils.findings.shown_values import stored
from utils.wording.masking import shows_personal_data
from validate.explain.explained import AttributeDifference
from validate.explain.shown import shown_value
from validate.explain.target_record import HEAD, text_of

SHOWN = 20  # differences, and items that are compared attribute by attribute
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


def with_numbering_of(lines: Sequence[bytes], head: Item | None) -> list[bytes]:
    """The lines that a row becomes, with the place in the numbering that the table has: which sales
    have one is decided over all of a year, and nobody has looked at these."""
    changed = []
    for line in lines:
        item = orjson.loads(line)["Item"]
        if item["SK"]["S"] == HEAD and head is not None:
            item = {name: value for name, value in item.items() if not name.startswith(_NUMBERING)}
            item |= {name: value for name, value in head.items() if name.startswith(_NUMBERING)}
            line = orjson.dumps({"Item": item}) + b"\n"
        changed.append(line)
    return changed


@dataclass
class Attributes:
    """Gathers differences; the first `SHOWN` are kept. A side that is None could not be asked."""

    shape: Shape
    count: int = 0
    found: list[AttributeDifference] = field(default_factory=list)

    def add(
        self,
        sort_key: str,
        source: Item | None,
        file: Item | None,
        target: Item | None,
        sides: tuple[bool, bool, bool],
    ) -> None:
        """Compare one item; `sides` says which of the three could be asked: there an item that is
        None is absent."""
        items = [
            item or {} for item, known in zip((source, file, target), sides, strict=True) if known
        ]
        names: dict[str, None] = {}
        for one, other in zip(items, items[1:], strict=False):
            names |= dict.fromkeys(differing_attributes(one, other))
        numbered = [name for name in names if name.startswith(_NUMBERING)]
        if sides[0] and not (sides[1] and sides[2]):
            names = {name: None for name in names if name not in numbered}
        for name in _in_order(names, items):
            self.count += 1
            if len(self.found) < SHOWN:
                values = [
                    self._shown(sort_key, name, item) if known else None
                    for item, known in zip((source, file, target), sides, strict=True)
                ]
                if name in numbered and not (sides[1] and sides[2]):
                    values[0] = None
                self.found.append(AttributeDifference(sort_key, name, *values))

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
