"""Buyers and producers that are beyond doubt, told from the others at a fraction of the cost of
judging them.

As with sales (validate/fast/sales.py) what does not decide by its form is asked of the rules
themselves, and a rule that is not ruled out here is asked of every party.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from validate.fast.forms import party_cells, party_form
from validate.fast.sound_text import is_sound_text
from validate.rules.catalogue import RULES
from validate.rules.party_rules import business_notes

Item = dict[str, Any]

RULED_OUT = frozenset(
    {
        # by the forms, which are the schema's or narrower, and by the length of the line
        *("not-an-item", "attribute-missing", "attribute-unknown", "attribute-type"),
        *("attribute-length", "attribute-value", "dynamodb-item-size", "dynamodb-key"),
        *("dynamodb-number", "dynamodb-nesting", "dynamodb-set"),
        # by the forms, in which what repeats something must repeat it
        *("identity", "index-key"),
        # by the forms, which have no place for `legacy`, where all doubts are noted
        *(name for name, rule in RULES.items() if rule.group == "layout"),
        # by asking
        *("country", "currency", "vat-number", "tax-code-as-vat-number", "fiscal-code"),
        *("province", "email", "email-several", "iban", "garbled-text", "control-characters"),
    }
)


@cache
def party_reader(kind: str) -> Callable[..., Item | None]:
    """The function that gives of a buyer or a producer what is compared between parties (as an item
    that has no more), if none of the rules that are ruled out here has anything to note about it,
    whatever the policy; None means that they have to look. It may be told that the text of a record
    `is_sound` (validate/fast/sound_text.py)."""
    pattern, places = party_form(kind)
    cells, key, prefix = party_cells(kind), f"{kind}Id", f"{kind.upper()}#"

    def party_if_clean(record: Sequence[bytes], *, is_sound: bool = False) -> Item | None:
        match = pattern.fullmatch(record[0])
        if match is None or len(record) > 1 or not (is_sound or is_sound_text(record)):
            return None
        item = {
            name: {"S": text.decode()}
            for name, text in zip(cells, match.group(*places), strict=True)
            if text is not None
        }
        if next(business_notes(item), None) is not None:
            return None
        item["PK"] = {"S": prefix + item[key]["S"]}
        return item

    return party_if_clean
