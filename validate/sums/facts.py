"""The facts of a record: the attributes that are added up, and those by which (utils/entities.py).

While file and table are compared, the facts of a record are one text that fits into an entry
(validate/compare/record_entries.py): no tab, no line break, no blank, no `;`. In it each declared
attribute has a field, in the order of the names, separated by a character that no JSON text holds.
A field is what the JSON text of a String (an amount: of a Number) has between its quotation marks.
An attribute that is absent, or of another type, is told by a character that none holds either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from utils.dynamodb.item_text import Attributes, start_of, text_of
from utils.entities import shape_of
from utils.sums.source_sums import measures_of

SEPARATOR = b"\x1f"
OTHER = b"\x01"  # begins a field whose attribute is not what it should be: its type follows
ABSENT = b""  # the type of what is not there
_ESCAPES = ((b" ", b"\\u0020"), (b";", b"\\u003b"))
_TYPE = "type"


@dataclass(frozen=True)
class OtherType:
    """An attribute is not of the type that it should have: DynamoDB's name of the one it has."""

    kind: str


Fact = str | OtherType | None  # None: absent


@dataclass(frozen=True)
class _Field:
    """Where the fact of an attribute is: how the text of one begins that is as it should be, what
    of that text is the fact, and how the text of any begins."""

    name: str
    start: bytes
    cut: slice
    any_start: bytes


@cache
def _fields(entity: str) -> tuple[_Field, ...]:
    measures = shape_of(entity).measures
    if measures is None:
        return ()
    starts = {
        name: start_of(name, "N" if name in measures.amounts else "S") + b'"'
        for name in sorted(measures.attributes)
    }
    return tuple(
        _Field(name, start, slice(len(start), -1), f'{name}":'.encode())
        for name, start in starts.items()
    )


@cache
def _cuts(entity: str) -> tuple[tuple[bytes, slice], ...]:
    return tuple((each.start, each.cut) for each in _fields(entity))


@cache
def positions_of(entity: str) -> Mapping[str, int]:
    """Where in the text the field of each attribute is."""
    return {each.name: place for place, each in enumerate(_fields(entity))}


def facts_of(attributes: Attributes, entity: str) -> bytes:
    """The facts of an item that opens a record; b"" where its entity has no amounts.

    Never raises, whatever the item holds. On the way of every record, and therefore without a call
    for each attribute.
    """
    facts = []
    place = 0
    try:
        for start, cut in _cuts(entity):
            place = bisect_left(attributes, start, place)
            text = attributes[place]
            if not text.startswith(start):
                return _unusual(attributes, entity)
            facts.append(text[cut])
    except IndexError:
        return _unusual(attributes, entity)
    found = SEPARATOR.join(facts)
    return _unusual(attributes, entity) if b" " in found or b";" in found else found


def _unusual(attributes: Attributes, entity: str) -> bytes:
    return SEPARATOR.join(_fact(attributes, each) for each in _fields(entity))


def _fact(attributes: Attributes, of: _Field) -> bytes:
    text = text_of(attributes, of.start)
    if text:
        return escaped(text[:-1])
    other = text_of(attributes, of.any_start)
    return OTHER + _kind(other) if other else OTHER + ABSENT


def _kind(text: bytes) -> bytes:
    """The type of an attribute value, given as JSON text without its last brace."""
    found = text[2 : text.find(b'"', 2)]
    return found if text.startswith(b'{"') and found.isalpha() and len(found) <= 4 else b"?"


def facts_json(text: bytes, lines: int, entity: str) -> dict[str, Any] | None:
    """The facts as the file of differences has them: a text for each
    attribute, null for one that is absent, {"type": …} for one of another type; and how many lines
    the record has. None for no facts (b"")."""
    if not text:
        return None
    found = dict(_named(text, entity))
    measures = measures_of(shape_of(entity))
    return {
        **{name: _as_json(found.get(name)) for name in measures.attributes},
        "lines": lines,
    }


def _named(text: bytes, entity: str) -> list[tuple[str, Fact]]:
    names = [each.name for each in _fields(entity)]
    return [(name, fact_of(each)) for name, each in zip(names, text.split(SEPARATOR), strict=False)]


def fact_of(field: bytes) -> Fact:
    """What a field of the text says."""
    if field.startswith(OTHER):
        kind = field[len(OTHER) :]
        return OtherType(kind.decode(errors="replace")) if kind else None
    if b"\\" not in field:
        return field.decode(errors="replace")
    try:
        return str(orjson.loads(b'"%b"' % field))
    except orjson.JSONDecodeError:
        return OtherType("?")


def _as_json(fact: Fact) -> str | dict[str, str] | None:
    return {_TYPE: fact.kind} if isinstance(fact, OtherType) else fact


def fact_text(fact: Fact) -> bytes:
    """The field of the text that says a fact."""
    if fact is None:
        return OTHER + ABSENT
    if isinstance(fact, OtherType):
        return OTHER + fact.kind.encode()
    return escaped(orjson.dumps(fact)[1:-1])


def escaped(text: bytes) -> bytes:
    """A JSON text as it may stand in an entry: without a blank and a `;`."""
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text
