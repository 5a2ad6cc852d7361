"""A file in objects: each line once, in no order, the same each time."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.s3_import import cutting
from load.s3_import.cutting import Cutting, ObjectContent


def contents(path: Path, target: int, digest: str = "ab") -> list[ObjectContent]:
    cut = Cutting(path, path.stat().st_size, digest, target)
    return [cut.content(number, places) for number, places in enumerate(cut.objects())]


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=80),
    target=st.integers(1, 4_000),
)
def test_all_objects_together_hold_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], target: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "file"
    lines = [b"%d" % number + b"x" * size + b"\n" for number, size in enumerate(lengths)]
    path.write_bytes(b"".join(lines))
    found = contents(path, target)
    assert sorted(line for each in found for line in each.plain.splitlines(True)) == sorted(lines)
    assert sum(each.items for each in found) == len(lines)


def test_the_order_is_another_than_that_of_the_file_and_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    lines = [b"%05d\n" % number for number in range(2_000)]
    path.write_bytes(b"".join(lines))
    found = contents(path, 3_000)
    assert len(found) > 3
    assert [each.plain for each in contents(path, 3_000)] == [each.plain for each in found]
    assert [each.plain for each in contents(path, 3_000, "cd")] != [each.plain for each in found]
    for each in found:
        held = each.plain.splitlines(True)
        assert held != sorted(held)
        assert int(max(held)) - int(min(held)) > len(held) * 2  # of all parts of the file


def test_an_object_is_gzip_and_the_same_bytes_each_time() -> None:
    content = ObjectContent(1, b'{"Item":{}}\n' * 100)
    assert gzip.decompress(content.compressed()) == content.plain
    assert content.compressed() == content.compressed()


def test_there_are_never_more_objects_than_an_import_takes() -> None:
    size = 15 << 40
    target = Cutting.of(Path("file"), size, "ab").target
    assert size / target <= cutting.MOST_OBJECTS
    assert Cutting.of(Path("file"), 1 << 20, "ab").target == cutting.OBJECT_BYTES
