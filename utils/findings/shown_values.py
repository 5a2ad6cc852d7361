"""A value of S9's or of an item as a finding may show it: numbers, dates, codes as they are,
whatever may be personal masked."""

from __future__ import annotations

import re
from functools import cache

from utils.entities import ENTITY_NAMES, shape_of
from utils.item_schemas import declared
from utils.wording.figures import counted
from utils.wording.masking import mask, veil

_LONGEST = 60  # characters
_WORD = re.compile(r"[^\W\d_]{4}")
# Attributes whose words are a code's or a vocabulary's: one that is not known is shown as it is.
_WORDED = frozenset(
    {
        *("status", "docType", "country", "currency", "preferredLanguage", "sector", "vatExempt"),
        *("quantity", "buyerCountry", "producerCountry"),
    }
)
_PERSONAL = frozenset({"sdi"})  # although it has a form


def shown(value: object, schema: str, attribute: str) -> str:
    """What may be shown of a value: of a column that becomes `attribute` of an item of this schema
    (utils/schemas), or of the attribute itself. "" is nothing (NULL, or absent).

    What has no attribute may be anything, so that only numbers and flags of it are shown.
    """
    if isinstance(value, str):
        return _text(value, schema, attribute)
    if isinstance(value, (dict, list)):
        return f"({counted(len(value), 'value')})"
    return "" if value is None else str(value).lower()[:_LONGEST]


def _text(text: str, schema: str, attribute: str) -> str:
    if not text.strip():
        return "(blank)" if text else ""
    has_form = attribute in _WORDED or (_has_form(schema, attribute) and not _WORD.search(text))
    found = veil(text) if has_form else mask(text)
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"


def stored(value: object) -> object:
    """The value in an attribute in DynamoDB JSON ({"S": "x"} is "x"); None for none."""
    if isinstance(value, dict) and len(value) == 1:
        ((tag, content),) = value.items()
        return None if tag == "NULL" else content
    return None


@cache
def _has_form(schema: str, attribute: str) -> bool:
    """Whether the values of an attribute are numbers, flags, or texts of a form of their own."""
    known = declared(schema).get(attribute) if schema else None
    if known is None or attribute in _PERSONAL:
        return False
    return not known.is_free


def schema_of(entity: str, part: str) -> str:
    """The schema of the item that a row of `part` becomes (utils/findings/source_names.py)."""
    shape = shape_of(entity)
    if not part:
        return shape.schema
    if shape.children and part == shape.children.name:
        return shape.children.schema
    return next((shape_of(n).schema for n in ENTITY_NAMES if shape_of(n).singular == part), "")
