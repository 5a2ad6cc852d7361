"""Facts of records (validate/sums/facts.py) from what the file of differences has of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from validate.sums.facts import SEPARATOR, OtherType, fact_text, positions_of


def facts_from_json(facts: Mapping[str, Any], entity: str) -> tuple[bytes, int]:
    """The text and the number of lines that `facts_json` has made these facts of."""
    names = sorted(positions_of(entity), key=positions_of(entity).__getitem__)
    return SEPARATOR.join(_text(facts.get(name)) for name in names), int(facts["lines"])


def _text(value: Any) -> bytes:
    is_other = isinstance(value, Mapping)
    return fact_text(OtherType(str(value["type"])) if is_other else value)
