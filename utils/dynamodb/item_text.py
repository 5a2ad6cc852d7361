"""An item as the JSON texts of its attributes, sorted: its content, mostly without a parser.

DynamoDB gives back the same item with its attributes in another order, a number in another
notation (25.5 for 25.50, 1E-7 for 0.0000001), the members of a set shuffled, and whoever answers
in its place may escape and space as he likes. Sorted attributes with plain numbers, sorted sets
and orjson's way of writing are the same bytes for the same item, and other bytes for another one.

Most items are flat (texts, numbers and flags) and written without a space or an escape. Such a
text can be cut at `},"`, which is five times as fast as parsing and writing it again. Where it
cannot be proven that every cut is between two attributes, the item is parsed after all.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from utils.dynamodb.answer_shapes import (
    NoAnswer,
    are_plain,
    check,
    consumed,
    item_problem,
    page_problem,
    parsed,
)
from utils.dynamodb.item_content import Item, content, normal_item

# Sorted, and each without the quotation mark that opens it and the brace that closes it:
# `name":{"S":"text"`. An item's text is `{"` + these joined by `},"` + `}}`.
Attributes = list[bytes]

_SEPARATOR = b'},"'
_BETWEEN_ITEMS = b'}},{"'
_ITEMS = b'"Items":['
# A number that is not in plain notation. Where no text has an escape, a quotation mark belongs
# to the structure, so this cannot match inside a text.
_UNUSUAL = re.compile(
    rb'"N":"(?!(?:[1-9][0-9]*|0)(?:\.[0-9]*[1-9])?"'
    rb'|-[1-9][0-9]*(?:\.[0-9]*[1-9])?"|-0\.[0-9]*[1-9]")'
)


class Scanned(NamedTuple):
    """The items on a page, where the next page starts (None: this was the last one), and the read
    units that the page has taken, where they were asked for."""

    items: Iterator[Attributes]
    last_key: Mapping[str, Any] | None
    units: float


def attributes_of(item: Item) -> Attributes:
    """The attributes of any item."""
    return sorted(
        orjson.dumps({name: value}, option=orjson.OPT_SORT_KEYS)[2:-2]
        for name, value in normal_item(item).items()
    )


def attributes_of_line(line: bytes, *, as_written: bool = False) -> Attributes:
    """The attributes of the item that a transformed line (`{"Item":{…}}`) has.

    With `as_written` a number may stay in the notation in which it is: what is the same then is
    the same item, what is not may be as well.
    """
    attributes = flat_attributes(line)
    if attributes is not None and (as_written or _UNUSUAL.search(line) is None):
        return attributes
    return attributes_of(orjson.loads(line)["Item"])


_OPENING = b'{"Item":{"PK":{"S":'


def partition_key_of(line: bytes) -> bytes:
    """The partition key of a transformed line's item, as `key_of` gives it: mostly without a look
    at the rest of the line."""
    if line.startswith(_OPENING):
        text = line[len(_OPENING) : line.find(b'"', len(_OPENING) + 1) + 1]
        if b"\\" not in text:
            return text
    return key_of(attributes_of_line(line), start_of("PK"))


_LEGACY_ID = b'"legacyId":{"S":"'


def legacy_id_of(line: bytes) -> bytes | None:
    """The key in S9 that a transformed line's item carries; None where it carries none. What has no
    place in the target is carried under its name in S9, and that may be any."""
    start = line.find(_LEGACY_ID)
    if start < 0:
        return None
    start += len(_LEGACY_ID)
    if line.find(_LEGACY_ID, start) >= 0:
        text: str = orjson.loads(line)["Item"].get("legacyId", {}).get("S", "")
        return text.encode()
    return line[start : line.find(b'"', start)]


def source_key_of(line: bytes) -> int | None:
    """The same as the number that it is of every migrated record; None where there is none."""
    text = legacy_id_of(line) or b""
    return int(text) if text.removeprefix(b"-").isdigit() else None


def content_of_line(line: bytes) -> bytes:
    """The canonical form (utils/dynamodb/item_content.py) of a transformed line whose numbers and
    sets are in theirs."""
    attributes = flat_attributes(line)
    if attributes is not None:
        return b'{"%b}}' % text_of_item(attributes)
    return content(orjson.loads(line)["Item"])


def read_page(page: bytes, *, as_written: bool = False) -> Scanned:
    """Read the answer to a Scan. Raises NoAnswer if it is none.

    With `as_written` as above, items are not judged either: those that are the same as items that
    have been judged need it no more. The caller judges all others (`require_item`), or reads the
    page once more.
    """
    cut = cut_page(page)
    if cut is None:
        answer = check("Scan", {}, page)
        return _scanned(map(attributes_of, answer["Items"]), answer)
    if not as_written and not are_plain(cut.items, len(cut.texts)):
        check("Scan", {}, page)
    usual = as_written or _UNUSUAL.search(page) is None
    return _scanned(_each(cut.texts, usual=usual), cut.around)


def _scanned(items: Iterator[Attributes], around: Mapping[str, Any]) -> Scanned:
    units = consumed("Scan", around) if "ConsumedCapacity" in around else 0.0
    return Scanned(items, around.get("LastEvaluatedKey"), units)


class CutPage(NamedTuple):
    """A page of a Scan cut into its items: what is around them, the text of each without its
    `{"` and `}}`, and the list of all of them."""

    around: dict[str, Any]
    texts: list[bytes]
    items: bytes


def cut_page(page: bytes) -> CutPage | None:
    """The items on a page, not judged; None where it is not sure where they begin and end.

    What is around the items must be JSON by itself, and say how many items there are. Whoever
    puts no space before the first item puts none into the others.
    """
    start = page.find(_ITEMS + b'{"')
    end = page.rfind(b"}}]")
    if start < 0 or end < start:
        return None
    start += len(_ITEMS)
    try:
        around = orjson.loads(page[:start] + page[end + 2 :])
    except orjson.JSONDecodeError:
        return None
    items = page[start : end + 2]
    texts = items[2:-2].split(_BETWEEN_ITEMS)
    if page_problem(around, len(texts)) or around.get("Items") != []:
        return None
    return CutPage(around, texts, items)


def _each(texts: Iterable[bytes], *, usual: bool) -> Iterator[Attributes]:
    for text in texts:
        attributes = _cut(text)
        if attributes is None or not (usual or _UNUSUAL.search(text) is None):
            attributes = attributes_of(_judged(text))
        yield attributes


def require_item(attributes: Attributes) -> None:
    """Raise NoAnswer unless these are attributes of DynamoDB JSON."""
    _judged(text_of_item(attributes))


def _judged(text: bytes) -> Item:
    item = parsed("Scan", b'{"%b}}' % text)
    if problem := item_problem(item):
        raise NoAnswer("Scan", f"an item {problem}")
    return item


def _cut(text: bytes) -> Attributes | None:
    r"""The attributes of an item's text (without `{"` and `}}`), None if it must be parsed.

    Without a backslash every quotation mark opens or closes a string. A cut where it closes one
    (a text that ends with `},`) leaves a part that is empty or begins with `}` or `:`. Without
    `[` there is no list and no set; a map, also an empty one, has more braces than parts.
    """
    if b"\\" in text or b"[" in text:
        return None
    attributes = text.split(_SEPARATOR)
    attributes.sort()
    if attributes[0] < b"A" or attributes[-1] >= b"{" or text.count(b"{") != len(attributes):
        return None
    return attributes


def flat_attributes(line: bytes) -> Attributes | None:
    """The attributes of a transformed line whose item is flat; None where it must be parsed."""
    if line.startswith(b'{"Item":{"') and line.endswith(b"}}}\n"):
        return _cut(line[_IN_LINE])
    return None


def holds_just(page: bytes, items: Sequence[Attributes]) -> bool:
    """Whether the answer to a Query or Scan is a last page that holds flat items (of which these
    are the attributes) and nothing else, as they are but for their order and that of what is in
    them. What is the same only in another notation is not seen to be.

    Parts that are those of an item, in whatever order, are that item: of the answer nothing needs
    to be proven.
    """
    cut = cut_page(page)
    if cut is None or "LastEvaluatedKey" in cut.around or len(cut.texts) != len(items):
        return False
    found = [sorted(text.split(_SEPARATOR)) for text in cut.texts]
    return found == items or sorted(found) == sorted(items)


def text_of_item(attributes: Attributes) -> bytes:
    """The canonical form of an item, but for the two bytes before it and the two after it."""
    return _SEPARATOR.join(attributes)


_KEY_STARTS = (b'PK":', b'SK":')
_FLAT_KEY = rb'\{"S":("[^"\\]*")\}'
_OPENS = re.compile(rb'\{"Item":\{"PK":' + _FLAT_KEY + rb',"SK":' + _FLAT_KEY).match
# What stands around the text of an item in a transformed line, and between those of two lines.
BEFORE_TEXT, AFTER_TEXT = len(b'{"Item":{"'), len(b"}}}")
_IN_LINE = slice(BEFORE_TEXT, -AFTER_TEXT - len(b"\n"))
BETWEEN_LINES = b'}}}\n{"Item":{"'


def written_text(attributes: Attributes) -> bytes:
    """The text of an item as it is written, but for the two bytes before it and the two after it:
    the canonical form with the key in front (utils/dynamodb/item_content.py: written_order)."""
    if attributes and not attributes[0].startswith(_KEY_STARTS):
        place = bisect_left(attributes, _KEY_STARTS[0])
        key = [each for each in attributes[place : place + 2] if each.startswith(_KEY_STARTS)]
        attributes = key + attributes[:place] + attributes[place + len(key) :]
    return _SEPARATOR.join(attributes)


def opening_keys(line: bytes) -> tuple[bytes, bytes] | None:
    """PK and SK (JSON texts) with which a transformed line begins that is written as lines are;
    None for another."""
    opens = _OPENS(line)
    return None if opens is None else (opens[1], opens[2])


def is_in_order(line: bytes) -> bool:
    """Whether a transformed line has the text of its item as it is written: whoever has written one
    line of a file so has written all."""
    written = written_text(attributes_of_line(line))
    return opening_keys(line) is not None and line[_IN_LINE] == written


def attributes_of_texts(texts: Iterable[bytes]) -> Iterator[Attributes]:
    """The attributes of items, from their canonical forms without the two bytes before and after;
    numbers stay as they are."""
    return _each(texts, usual=True)


def start_of(name: str, kind: str = "S") -> bytes:
    """How the text of an attribute starts that is a String (or a Number, `kind` N)."""
    return f'{name}":{{"{kind}":'.encode()


def text_of(attributes: Attributes, start: bytes) -> bytes:
    """The value of the attribute that starts so (`start_of`), as JSON text; empty when the
    attribute is absent or of another kind."""
    place = bisect_left(attributes, start)
    if place < len(attributes) and attributes[place].startswith(start):
        return attributes[place][len(start) :]
    return b""


def texts_of(attributes: Attributes, starts: Iterable[bytes]) -> list[bytes]:
    """The same for several attributes, in the order of their names: quicker than one by one."""
    texts, place, end = [], 0, len(attributes)
    for start in starts:
        place = bisect_left(attributes, start, place)
        found = attributes[place] if place < end else b""
        texts.append(found[len(start) :] if found.startswith(start) else b"")
    return texts


def is_there(attributes: Attributes, name: str) -> bool:
    """Whether an item has an attribute."""
    return bool(text_of(attributes, f'{name}":'.encode()))


def neighbours_of(attributes: Attributes, first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """The keys that start so (`key_of`); quicker where the one follows the other."""
    # An item that is in no index begins with them.
    begins = bool(attributes) and attributes[0].startswith(first)
    place = 0 if begins else bisect_left(attributes, first)
    if place + 1 < len(attributes):
        one, other = attributes[place], attributes[place + 1]
        if one.startswith(first) and other.startswith(second):
            return one[len(first) :], other[len(second) :]
    return key_of(attributes, first), key_of(attributes, second)


def key_of(attributes: Attributes, start: bytes) -> bytes:
    """The key that starts so (`start_of`), as JSON text; that of its DynamoDB JSON where it is no
    String (or not there)."""
    text = text_of(attributes, start)
    if not text:
        other = text_of(attributes, start[: start.index(b"{")])
        text = other + b"}" if other else b"null"
    return text
