"""Items in the form in which nearly all of them are written, recognised by their bytes.

A pattern for each kind, made from its schema and from the tables of what agrees with what
(validate/rules/consistency.py): the attributes of the schema in the order in which items are
written, each with a form that is the schema's or narrower. What matches conforms to its schema and
to DynamoDB's limits, and its keys agree with its ids; that costs a tenth of parsing an item and
asking the schema. What does not match is no worse for it: it is judged by the slower way, which
alone can say what is wrong. So a mistake here may only ever be a pattern that takes too little, and
tests generate items from the patterns and put them to the schemas. An attribute that no form is
known of (`without_form`) sends its item the slower way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from utils.dynamodb.item_content import written_order
from utils.item_schemas import Declared, declared
from validate.rules.consistency import (
    LINE_KEYS,
    NUMBERING,
    NUMBERING_KEYS,
    OF_SALE,
    SALE_KEYS,
    Repeats,
    party_keys,
)
from validate.rules.sale_rules import CODES, FIRST_DAY, LAST_DAY, SUMS

AMOUNTS = ("discountAmount", "netAmount", "taxAmount", "totalAmount")
PRICED = ("quantity", "unitPrice", "discount", *AMOUNTS[:2], "taxRate", *AMOUNTS[2:])
# What the checks beyond schema and agreement look at, in the order in which they take it.
SALE_CELLS = (
    *("saleId", "legacyId", "saleDate", "year", "status", "docType", "buyerId", "producerId"),
    *("invoiceGenerated", "linesCount", "saleNumber", NUMBERING[0], *SUMS, *CODES),
)
_PARTY_CELLS = (
    *("legacyId", "code", "country", "vatNumber", "fiscalCode", "province", "email", "pec"),
    *("currency", "bankDetails"),
)
LINE_CELLS = ("saleId", "lineId", "lineNumber", "productDescription", "productCode", *PRICED)


class Form(NamedTuple):
    """The form of items beyond doubt: `match.group(*places)` has the texts of the attributes that
    are looked at, None for an absent one."""

    pattern: re.Pattern[bytes]
    places: tuple[int, ...]


@cache
def sale_form() -> Form:
    """The form of a sale's METADATA line; its places are those of SALE_CELLS."""
    return _form_of("sale", _SALE_KEYS, SALE_CELLS, dict.fromkeys(SUMS, _CENTS), NUMBERING)


@cache
def line_form() -> Form:
    """The form of a LINE line; its places are those of LINE_CELLS. Whether its sale is the sale
    that it is with is another question."""
    return _form_of("sale_line", _LINE_KEYS, LINE_CELLS, dict.fromkeys(AMOUNTS, _CENTS))


def line_cells(lines: bytes) -> list[tuple[bytes, ...]]:
    """LINE_CELLS of each of some LINE lines, b"" for an absent one; lines that do not have the form
    are passed over."""
    pattern, pick = _line_finder()
    return list(map(pick, pattern.findall(lines)))


@cache
def _line_finder() -> tuple[re.Pattern[bytes], Callable[[tuple[bytes, ...]], tuple[bytes, ...]]]:
    """The pattern of line_form for lines among others, and what picks the cells of all groups."""
    pattern, places = line_form()
    whole_line = re.compile(b"(?m)^%b$" % pattern.pattern.removesuffix(_LINE_BREAK.encode()))
    return whole_line, itemgetter(*(place - 1 for place in places))


@cache
def party_form(kind: str) -> Form:
    """The form of a buyer or a producer; its places are those of party_cells."""
    return _form_of(kind, party_keys(kind), party_cells(kind), {})


def party_cells(kind: str) -> tuple[str, ...]:
    """What the checks of a buyer or a producer look at: its id, and of _PARTY_CELLS what there is
    of its kind."""
    return (f"{kind}Id", *(name for name in _PARTY_CELLS if name in declared(kind)))


def without_form(kind: str) -> list[str]:
    """The attributes of a kind of item that send it the slower way."""
    keys = {"sale": _SALE_KEYS, "sale_line": _LINE_KEYS}.get(kind) or party_keys(kind)
    repeating = {each.key for each in keys}
    return [
        name
        for name, attribute in declared(kind).items()
        if name not in repeating and _form(attribute) is None
    ]


def _whole_years(first_day: str, last_day: str) -> str:
    """The pattern of the years that lie between two days (YYYY-MM-DD)."""
    first = int(first_day[:4]) + (not first_day.endswith("-01-01"))
    last = int(last_day[:4]) - (not last_day.endswith("-12-31"))
    decades: dict[str, str] = {}
    for year in range(first, last + 1):
        decades[str(year)[:3]] = decades.get(str(year)[:3], "") + str(year)[3]
    parts = []
    for (century, digits), group in groupby(decades, lambda each: (each[:2], decades[each])):
        parts.append(f"{century}[{''.join(each[2] for each in group)}][{digits}]")
    return f"(?:{'|'.join(parts)})"


def _number(integer_digits: int, decimals: int) -> str:
    fraction = rf"(?:\.[0-9]{{0,{decimals - 1}}}[1-9])"
    return rf"(?:0|-?(?:[1-9][0-9]{{0,{integer_digits - 1}}}{fraction}?|0{fraction}))"


_SALE_KEYS = (*SALE_KEYS, *NUMBERING_KEYS)
_LINE_KEYS = (*(each for each in SALE_KEYS if each.key in OF_SALE), *LINE_KEYS)
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# Plausible years (validate/rules/sale_rules.py), and no 29 February, which only a calendar could
# judge.
_DAY = (
    f"{_whole_years(FIRST_DAY, LAST_DAY)}-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
_CHARACTER = r'[^"\\\x00-\x1f]'  # nothing that JSON escapes
_LINE_BREAK = r"\n?"  # with which a pattern ends
_PLAIN = re.compile(rf"{_CHARACTER}+").fullmatch
# A schema's pattern that is as good for bytes.
_LETTERS_AND_DIGITS = re.compile(r"\^(\[[A-Za-z0-9-]+\]\{[0-9,]+\})\$").fullmatch
_CENTS = _number(9, 2)
# Forms of the kinds of values in values.json.
_FORMS = {
    "date": _DAY,
    "timestamp": _DAY + _TIME,
    "country": "[A-Z]{2}",
    "currency": "[A-Z]{3}",
    "language": "(?:it|en|de|fr)",
    "legacyId": "-?[0-9]{1,19}",
    "amount": _number(9, 6),
    "percent": r"(?:100|[1-9]?[0-9](?:\.[0-9]{0,5}[1-9])?)",
    "integer": "(?:0|-?[1-9][0-9]{0,14})",
    "count": "(?:0|[1-9][0-9]{0,14})",
    "position": "[1-9][0-9]{0,14}",
    "flag": "(?:true|false)",
    **dict.fromkeys(("saleId", "lineId", "buyerId", "producerId"), _UUID),
}


def _form_of(
    kind: str,
    keys: Iterable[Repeats],
    cells: Sequence[str],
    narrower: Mapping[str, str],
    together: tuple[str, ...] = (),
) -> Form:
    pattern = _pattern(kind, keys, cells, narrower, together)
    return Form(pattern, tuple(pattern.groupindex[name] for name in cells))


def _pattern(
    kind: str,
    keys: Iterable[Repeats],
    cells: Sequence[str],
    narrower: Mapping[str, str],
    together: tuple[str, ...],
) -> re.Pattern[bytes]:
    """The pattern of an item; attributes that come `together` are all there or none."""
    attributes = declared(kind)
    sources = {each.key: (each.before, each.attribute) for each in keys}
    sources |= {attribute: ("", attribute) for _, attribute in sources.values()}
    captured: set[str] = set()
    parts = []
    for name in written_order(attributes):
        attribute = attributes[name]
        before, source = sources.get(name, ("", name))
        form = narrower.get(source) or _form(attributes[source])
        if form is None:
            continue
        if source in captured:
            form = f"(?P={source})"
        elif name in sources or name in cells:
            form = f"(?P<{source}>{form})"
            captured.add(source)
        part = _attribute(attribute, before + form)
        if name in together:
            part = {together[0]: f"(?:{part}", together[-1]: f"{part}|)"}[name]
        elif not attribute.required:
            part = f"(?:{part}|)"  # a third faster than with a question mark
        parts.append(part)
    text = r'\{"Item":\{' + "".join(parts).removeprefix(",") + r"\}\}" + _LINE_BREAK
    return re.compile(text.encode())


def _attribute(attribute: Declared, form: str) -> str:
    quote = "" if attribute.type == "BOOL" else '"'
    return rf',"{attribute.name}":\{{"{attribute.type}":{quote}{form}{quote}\}}'


def _form(attribute: Declared) -> str | None:
    """The form of an attribute's text, as narrow as the schema's or narrower; None if none is
    known."""
    if attribute.value in _FORMS and not attribute.has_limits:
        return _FORMS[attribute.value]
    words = attribute.form.get("enum") or [attribute.form.get("const")]
    if all(isinstance(word, str) and _PLAIN(word) for word in words):
        return f"(?:{'|'.join(map(re.escape, words))})"
    if match := _LETTERS_AND_DIGITS(attribute.form.get("pattern", "")):
        return match[1]
    least, longest = attribute.form.get("minLength", 0), attribute.form.get("maxLength", "")
    if attribute.is_free and least <= 1:
        # In bytes, of which there are more than characters.
        return f"{_CHARACTER}{{{least},{longest}}}"
    return None
