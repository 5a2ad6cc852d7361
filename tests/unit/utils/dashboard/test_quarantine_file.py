"""A quarantine file is turned page by page, wherever one begins, and never read whole."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.dashboard.quarantine_file import Turned, turned_to


def entry(number: int, padding: int = 0) -> bytes:
    head: dict[str, Any] = {"entity": "sales", "legacyId": str(number), "reason": '"record":{}'}
    return orjson.dumps({**head, "record": {"first_id": number, "notes": "x" * padding}}) + b"\n"


def keys_of(page: Turned) -> list[int]:
    return [int(each["legacyId"]) for each in page.entries]


def test_forwards_and_back_every_record_is_seen_once(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    path.write_bytes(b"".join(entry(number, number * 37 % 900) for number in range(107)))
    page, pages = turned_to(path, 0), list[Turned]()
    assert page.before is None
    while True:
        pages.append(page)
        if page.after is None:
            break
        page = turned_to(path, page.after)
    assert [key for page in pages for key in keys_of(page)] == list(range(107))
    for page, before in zip(pages[:0:-1], pages[-2::-1], strict=True):
        assert page.before is not None
        assert keys_of(turned_to(path, page.before)) == keys_of(before)


@given(at=st.integers(min_value=0, max_value=20_000))
def test_a_page_begins_with_a_whole_record(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "anywhere.json"
    if not path.exists():
        path.write_bytes(b"".join(entry(number, number % 60) for number in range(100)))
    page = turned_to(path, at)
    assert page.unreadable == 0
    found = keys_of(page)
    assert found == list(range(found[0], found[0] + len(found))) if found else at > 0


def test_a_record_larger_than_memory_is_passed_by(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with path.open("wb") as handle:
        handle.write(entry(1))
        handle.write(b'{"entity":"sales","legacyId":"2","reason":"r","record":{"notes":"')
        for _ in range(64):
            handle.write(b"x" * (1 << 20))
        handle.write(b'"}}\n' + entry(3))
    tracemalloc.start()
    page = turned_to(path, 0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 << 20
    assert keys_of(page) == [1, 2]
    assert "record" not in page.entries[1]
    assert page.after is not None
    last = turned_to(path, page.after)
    assert keys_of(last) == [3]
    assert last.before is not None and last.before < page.after


@pytest.mark.parametrize("text", [b"", b"\n\n", b"{", b"null\n", b'{"legacyId":1}\n', b"\xff\n"])
def test_what_is_no_record_is_counted(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "sales.json"
    path.write_bytes(text + entry(7) if text.endswith(b"\n") else text)
    page = turned_to(path, 0)
    assert page.unreadable == bool(text.strip())
    assert keys_of(page) == ([7] if text.endswith(b"\n") else [])


def test_one_that_is_encrypted_or_absent_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    assert not turned_to(path, 0).is_encrypted
    path.with_name("sales.json.age").touch()
    assert turned_to(path, 0).is_encrypted
