"""Sales that name no buyer or no producer, where the configuration has a party to stand in."""

from __future__ import annotations

from transform.items.adapter_notes import Notes
from transform.items.attributes import Row
from transform.rules import TransformRules


def put_placeholders(entity: str, row: Row, notes: Notes, rules: TransformRules) -> None:
    """Give a sale without a party the configured one, and say so; all else stays as it is.

    Only where S9 names none: a key of a party that is not there is a mistake to be mended.
    """
    if entity != "sales":
        return
    for kind, party in rules.placeholders.items():
        key = f"{kind}_id"
        if row.get(key) in (None, ""):
            row[key] = party.key
            row[kind] = {"name": party.name, "country": party.country}
            reason = f"S9 names no {kind}: {kind} {party.key} of the configuration stands in"
            notes.doubt(key, "placeholder-party", reason)
