"""Producers: a party of kind 1 becomes one item of the producers table."""

from __future__ import annotations

from functools import lru_cache

from transform.items.attributes import Attribute, ColumnTargets, Item, Row
from transform.items.parties import PartyTransform
from transform.rules import TransformRules
from transform.values.money import decimal
from transform.values.text import text
from transform.values.vocabularies import quantity_class

_OWN = (
    Attribute("revenuePercentage", "revenue_percentage", decimal),
    Attribute("qualityAssurance", "quality_assurance", text),
    Attribute("productionArea", "production_area", text),
    Attribute("markets", "markets", text),
    Attribute("materials", "materials", text),
    Attribute("products", "products", text),
    Attribute("standardProducts", "standard_products", text),
    Attribute("diameterRange", "diameter_range", text),
    Attribute("maxLength", "max_length", text),
    Attribute("quantity", "quantity", quantity_class),
)


def producer_to_items(row: Row, rules: TransformRules) -> list[Item]:
    """Return the one item of a producer.

    `row` is a row of `msg_anag` under its canonical column names. Raises RejectedRecord with every
    column that cannot be converted.
    """
    return [_transform(rules).item(row)]


def producer_targets(rules: TransformRules) -> ColumnTargets:
    """What the columns of a producer become."""
    return _transform(rules).targets


def producer_attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    """The attributes of a producer that are each made of one column, apart from its name."""
    return _transform(rules).attributes


@lru_cache(maxsize=4)
def _transform(rules: TransformRules) -> PartyTransform:
    return PartyTransform("producer", _OWN, rules)
