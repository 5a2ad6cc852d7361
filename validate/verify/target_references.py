"""References in the target: every party that a sale names is in the party's table.

Sales and parties are read at different times, so both become lines in buckets on disk, under the
key of the party: the party's PK, a tab, and the sale's PK (nothing, if it is the party itself).
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from utils.dynamodb.item_text import Attributes, start_of, text_of
from validate.verify.verification_report import References, Unresolved

_PARTIES = ((start_of("buyerId"), b'"BUYER#'), (start_of("producerId"), b'"PRODUCER#'))
_NOBODY = b'""'


def references_of_sale(pk: bytes, sale: Attributes) -> list[tuple[bytes, bytes]]:
    """The parties that a sale names, as (PK of the party, the line); PKs are JSON texts.

    A sale without one of the two names the party "", which is nowhere.
    """
    found = []
    for start, opening in _PARTIES:
        text = text_of(sale, start)
        party = opening + text[1:] if len(text) > len(_NOBODY) else _NOBODY
        found.append((party, party + b"\t" + pk))
    return found


def party_is_there(pk: bytes) -> tuple[bytes, bytes]:
    """The entry of a party that the target has."""
    return pk, pk + b"\t"


def resolve(buckets: Iterable[Iterable[bytes]]) -> References:
    """Look up every reference among the parties that are there."""
    result = References()
    for lines in buckets:
        there, named = set[bytes](), list[bytes]()
        for line in lines:
            if line.endswith(b"\t"):
                there.add(line[:-1])
            else:
                named.append(line)
        result.checked += len(named)
        lost = [line for line in named if line[: line.index(b"\t")] not in there]
        for line in sorted(lost):
            party, _, sale = line.partition(b"\t")
            result.unresolved.add(Unresolved(orjson.loads(sale), orjson.loads(party)))
    return result
