"""A page is made of reports of any size."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import orjson
import pytest

from utils.pages.report import documents
from utils.pages.report.documents import LISTED, documents_of, text_of
from utils.pages.report.kept import kept
from utils.pages.report.page import write_page

COUNT = 200_000
HEAD = {
    "runId": "5d549f73",
    "at": "2026-11-27T17:41:55Z",
    "tool": {"version": "1.0.0", "rules": "c8a1e755adcf"},
    "snapshot": {"consistent": True, "statement": "all entities are read from one snapshot"},
}


def conflict(number: int) -> dict[str, object]:
    return {
        "entity": "sales",
        "PK": f"SALE#{number:036}",
        "SK": "METADATA",
        "legacyId": str(number),
        "kind": "differs",
        "attributes": ["notes", "updatedAt"],
        "newer": "table",
        "decision": "keep",
    }


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A data directory with a report of forty megabytes, as the load writes it."""
    path = tmp_path / "reports" / "conflicts_report.json"
    path.parent.mkdir()
    head = orjson.dumps({**HEAD, "onConflict": "skip"}).removesuffix(b"}")
    with path.open("wb") as handle:
        handle.write(head + b',"conflicts":[\n')
        for number in range(COUNT):
            comma = b",\n" if number < COUNT - 1 else b"\n"
            handle.write(orjson.dumps(conflict(number)) + comma)
        handle.write(b'],"count":%d}\n' % COUNT)
    return tmp_path


def test_of_a_large_report_the_first_entries_are_read(large: Path) -> None:
    tracemalloc.start()
    try:
        known = documents_of(large, None)
        page = write_page(large, None)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert known.troubles == []
    report = known.report("conflicts")
    assert report["count"] == COUNT
    assert report["conflicts"] == [conflict(number) for number in range(LISTED)]
    [section] = kept(known)
    assert any("200,000" in str(part) for part in section.parts)
    assert page.stat().st_size < 2_000_000
    assert most < 30 << 20


@pytest.mark.parametrize("indent", [0, orjson.OPT_INDENT_2])
def test_what_is_not_a_list_is_whole(
    indent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the limit is low: nothing is cut but entries behind the first."""
    monkeypatch.setattr(documents, "_WHOLE", 0)
    path = tmp_path / "report.json"
    document = {**HEAD, "lists": [[{"a": number} for number in range(50)] for _ in range(3)]}
    path.write_bytes(orjson.dumps(document, option=indent))
    assert orjson.loads(text_of(path)) == document
