"""The key index of a backup: sorted on disk, found again, whatever the number of items."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.backup.key_index import RECORD, Digests, KeyIndex, merge
from load.backup.page import PageReader

DIGESTS = Digests(("PK", "SK"), b"0123456789abcdef")


def item(number: int, name: str = "x") -> dict[str, Any]:
    return {"PK": {"S": f"SALE#{number}"}, "SK": {"S": "METADATA"}, "name": {"S": name}}


def record(each: dict[str, Any]) -> bytes:
    return PageReader(DIGESTS, None).entry(each).record


def built(directory: Path, numbers: list[int], pieces: int) -> Path:
    """The index of items with these numbers, merged from several parts."""
    parts = []
    for piece in range(pieces):
        parts.append(directory / f"part-{piece}")
        parts[-1].write_bytes(b"".join(record(item(n)) for n in numbers[piece::pieces]))
    path = directory / "keys.bin"
    merge(parts, path, directory / "sorting")
    assert not (directory / "sorting").exists()
    return path


@settings(max_examples=25)
@given(st.sets(st.integers(0, 5000), max_size=700), st.integers(1, 4))
def test_what_was_there_is_found_and_nothing_else(numbers: set[int], pieces: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = built(Path(name), sorted(numbers), pieces)
        assert path.stat().st_size == len(numbers) * RECORD
        with KeyIndex(path, DIGESTS) as keys:
            found = {n for n in range(0, 5001, 7) if keys.find(item(n)) is not None}
            assert found == {n for n in range(0, 5001, 7) if n in numbers}
            assert all(keys.find(item(n)) for n in numbers)


def test_the_same_key_with_other_contents_is_not_the_same(tmp_path: Path) -> None:
    with KeyIndex(built(tmp_path, [1, 2, 3], 1), DIGESTS) as keys:
        entry = keys.find(item(2, "another"))
        assert entry is not None
        assert keys.is_same(entry, item(2))
        assert not keys.is_same(entry, item(2, "another"))
        assert (entry.updated_at, entry.migrated) == ("", False)


@pytest.mark.parametrize("items", [0, 10, 5_000])
def test_an_index_is_every_record_in_order(tmp_path: Path, items: int) -> None:
    path = built(tmp_path, list(range(items)), 3)
    assert path.read_bytes() == b"".join(sorted(record(item(n)) for n in range(items)))


def test_unevenly_spread_keys_are_found_as_well(tmp_path: Path) -> None:
    """The search begins where a key would be if all were spread evenly; it must not rely on it."""
    low = sorted((item(n) for n in range(40_000)), key=DIGESTS.key)[:9_000]
    part = tmp_path / "part"
    part.write_bytes(b"".join(map(record, low)))
    merge([part], tmp_path / "keys.bin", tmp_path / "sorting")
    with KeyIndex(tmp_path / "keys.bin", DIGESTS) as keys:
        assert all(keys.find(each) for each in low[::50])
        assert keys.find(item(50_000)) is None


def test_two_backups_tell_nothing_of_one_another() -> None:
    other = Digests(("PK", "SK"), b"fedcba9876543210")
    assert DIGESTS.key(item(1)) != other.key(item(1))
    assert DIGESTS.content(b"{}") != other.content(b"{}")
