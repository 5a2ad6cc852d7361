"""Sales that name no buyer or no producer, where the configuration has a party to stand in."""

from __future__ import annotations

from transform.items.adapter_notes import Notes
from transform.items.attributes import Row
from transform.rules import TransformRules
from utils.entities import shape_of


def put_placeholders(entity: str, row: Row, notes: Notes, rules: TransformRules) -> None:
    """Give a record without a party that it should name the configured one, and say so; all else
    stays as it is.

    Only where S9 names none: a key of a party that is not there is a mistake to be corrected.
    """
    if not rules.placeholders:
        return
    named = {shape_of(name).singular for name in shape_of(entity).needs}
    for kind, party in rules.placeholders.items():
        if kind not in named:
            continue
        key = f"{kind}_id"
        if row.get(key) in (None, ""):
            row[key] = party.key
            row[kind] = {"name": party.name, "country": party.country}
            reason = f"S9 names no {kind}: {kind} {party.key} of the configuration stands in"
            notes.doubt(key, "placeholder-party", reason)
