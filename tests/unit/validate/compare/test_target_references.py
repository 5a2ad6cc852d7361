"""Every sale's parties must be among the parties that were scanned, in whatever order."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from utils.dynamodb.item_text import attributes_of
from validate.compare.target_references import is_there, references_of, references_wanted, resolve


def named(sale: str, **parties: str) -> list[tuple[bytes, bytes]]:
    item: dict[str, Any] = {name: {"S": party} for name, party in parties.items()}
    return references_of(orjson.dumps(sale), attributes_of(item), references_wanted("sales"))


def lines(entries: list[tuple[bytes, bytes]]) -> list[bytes]:
    assert all(line.startswith(key + b"\t") for key, line in entries)
    return [line for _, line in entries]


@given(
    st.sets(st.integers(0, 9)),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20),
    st.randoms(),
)
def test_exactly_the_references_to_absent_parties_are_unresolved(
    there: set[int], sales: list[tuple[int, int]], random: Any
) -> None:
    entries = [is_there(orjson.dumps(f"BUYER#{n}")) for n in there]
    entries += [is_there(orjson.dumps(f"PRODUCER#{n}")) for n in there]
    expected = []
    for number, (buyer, producer) in enumerate(sales):
        entries += named(f"SALE#{number}", buyerId=str(buyer), producerId=str(producer))
        for prefix, party in (("BUYER#", buyer), ("PRODUCER#", producer)):
            if party not in there:
                expected.append((f"SALE#{number}", f"{prefix}{party}"))
    random.shuffle(entries)
    result = resolve([lines(entries)])
    assert result.checked == 2 * len(sales)
    assert sorted((u.user, u.named) for u in result.unresolved.entries) == sorted(expected)
    assert result.passed == (not expected)


def test_a_sale_without_a_buyer_is_unresolved() -> None:
    result = resolve([lines([is_there(b'"PRODUCER#1"'), *named("SALE#1", producerId="1")])])
    (found,) = result.unresolved.entries
    assert (found.user, found.named) == ("SALE#1", "")
