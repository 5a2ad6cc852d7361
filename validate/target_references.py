"""References in the target: every party that a sale names is in the party's table.

Sales and parties are read at different times, so both become entries in buckets on disk, under
the key of the party.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from validate.verification_report import References, Unresolved

_PARTIES = (("buyerId", "BUYER#"), ("producerId", "PRODUCER#"))
_THERE = b""


def references_of_sale(pk: bytes, item: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The parties that a sale names, as (PK of the party, PK of the sale), as JSON texts.

    A sale without one of the two names the party "", which is nowhere.
    """
    found = []
    for attribute, prefix in _PARTIES:
        party = item.get(attribute, {}).get("S")
        found.append((orjson.dumps(prefix + party if party else ""), pk))
    return found


def party_is_there(pk: bytes) -> tuple[bytes, bytes]:
    """The entry of a party that the target has."""
    return pk, _THERE


def resolve(buckets: Iterable[list[tuple[bytes, bytes]]]) -> References:
    """Look up every reference among the parties that are there."""
    result = References()
    for entries in buckets:
        there = {party for party, sale in entries if sale == _THERE}
        for party, sale in entries:
            if sale != _THERE:
                result.checked += 1
                if party not in there:
                    result.unresolved.add(Unresolved(orjson.loads(sale), orjson.loads(party)))
    return result
