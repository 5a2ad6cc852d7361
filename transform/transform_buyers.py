"""Buyers: a party of kind 2 or 3 becomes one item of the buyers table."""

from __future__ import annotations

from functools import lru_cache

from transform.items.attributes import Attribute, ColumnTargets, Item, Row
from transform.items.parties import PartyTransform
from transform.rules import TransformRules
from transform.values.text import text
from transform.values.vocabularies import currency, sector, vat_exemption

_OWN = (
    Attribute("industrialGroup", "industrial_group", text),
    Attribute("sector", "sector", sector),
    Attribute("vatExempt", "vat_exempt", vat_exemption),
    Attribute("currency", "currency", currency),
    Attribute("defaultPaymentMethod", "payment_method", text),
    Attribute("defaultPaymentTerms", "payment_terms", text),
)


def buyer_to_items(row: Row, rules: TransformRules) -> list[Item]:
    """Return the one item of a buyer.

    `row` is a row of `msg_anag` under its canonical column names. Raises RejectedRecord with every
    column that cannot be converted.
    """
    return [_transform(rules).item(row)]


def buyer_targets(rules: TransformRules) -> ColumnTargets:
    """What the columns of a buyer become."""
    return _transform(rules).targets


def buyer_attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    """The attributes of a buyer that are each made of one column, apart from its name."""
    return _transform(rules).attributes


@lru_cache(maxsize=4)
def _transform(rules: TransformRules) -> PartyTransform:
    return PartyTransform("buyer", _OWN, rules)
