"""What is spilled comes back whole, a bucket at a time, from however many runs."""

from __future__ import annotations

import stat
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.files import spill
from utils.files.spill import Buckets, Scratch, Spill, ranges, read_buckets

KEYED = st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 99)), max_size=80)


@given(st.lists(KEYED, max_size=4), st.integers(1, 9), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_every_line_is_in_the_bucket_of_its_key_in_the_order_of_the_runs(
    tmp_path_factory: pytest.TempPathFactory,
    gathered: list[list[tuple[bytes, int]]],
    count: int,
    run_bytes: int,
    together: int,
) -> None:
    runs: list[Any] = []
    expected = defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "_RUN_BYTES", run_bytes)
        patch.setattr(spill, "_TOGETHER_BYTES", together)
        for entries in gathered:
            own = Spill(tmp_path_factory.getbasetemp(), count=count)
            for key, value in entries:
                line = key.hex().encode() + b" %d" % value
                expected[key].append(line)
                own.add([(key, line)])
            runs += own.finish()
        pieces = ranges(runs, count=count)
    found = [lines for numbers in pieces for lines in read_buckets(runs, numbers)]
    assert [number for numbers in pieces for number in numbers] == list(range(count))
    assert len(found) == count
    for key, lines in expected.items():
        (bucket,) = [each for each in found if lines[0] in each]
        assert [line for line in bucket if line.split(b" ")[0] == key.hex().encode()] == lines
    assert sum(map(len, found)) == sum(map(len, gathered))


def test_a_scratch_directory_is_private_and_goes_with_its_context(tmp_path: Path) -> None:
    with Scratch(tmp_path / "scratch") as scratch:
        own = Spill(scratch)
        own.add([(b"key", b"line")])
        (run,) = own.finish()
        assert stat.S_IMODE(Path(run.path).stat().st_mode) == 0o600
    assert list((tmp_path / "scratch").iterdir()) == []


def test_pairs_come_back_under_their_keys(tmp_path: Path) -> None:
    pairs = [(b"%d" % (n % 7), b"value %d" % n) for n in range(100)]
    with Buckets(tmp_path) as buckets:
        buckets.add(pairs[:50])
        buckets.add(pairs[50:])
        found = list(buckets)
    assert sorted(pair for bucket in found for pair in bucket) == sorted(pairs)
    for key in {key for key, _ in pairs}:
        (bucket,) = [each for each in found if key in dict(each)]
        assert [pair for pair in bucket if pair[0] == key] == [p for p in pairs if p[0] == key]


def test_nothing_spilled_is_no_run_and_empty_buckets(tmp_path: Path) -> None:
    assert Spill(tmp_path).finish() == ()
    assert [lines for n in ranges(()) for lines in read_buckets((), n)] == [[]] * spill.BUCKETS
