"""Records of S9's, put together for the writer: all of them, and never more than a bounded number
of bytes at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.reading import records
from extract.reading.records import Pack, packed

_LARGE = 4 << 20


@given(sizes=st.lists(st.integers(0, 30)), most=st.integers(1, 5), most_bytes=st.integers(1, 40))
def test_every_record_is_in_a_pack_that_is_not_too_large(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    lines = [b"%d" % number + b"x" * size + b"\n" for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "FLUSH_RECORDS", most)
        patch.setattr(records, "FLUSH_BYTES", most_bytes)
        found = list(packed((b"%d" % n, n, line) for n, line in enumerate(lines)))
    done = 0
    for pack in found:
        these = range(done, done + pack.records)
        done += pack.records
        expected = b"".join(lines[n] for n in these)
        assert pack == Pack(b"%d" % (done - 1), len(these), sum(these), expected)
        assert 1 <= pack.records <= most
        assert pack.records == 1 or len(pack.data) <= most_bytes
    assert done == len(lines)


def test_of_large_records_one_is_held_at_a_time() -> None:
    def arriving() -> Iterator[tuple[bytes, int, bytes]]:
        for number in range(60):
            yield b"%d" % number, 1, b"x" * (100 if number % 3 else _LARGE)

    tracemalloc.start()
    total = sum(len(pack.data) for pack in packed(arriving()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 20 * _LARGE + 40 * 100
    assert peak < 2.5 * _LARGE  # the one, and the next
