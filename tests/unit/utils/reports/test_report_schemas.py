"""The schemas of reports are schemas, close every object, and are what the documents say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from tests.support.documents.event_schema import FILE, text
from tests.support.operators.declared_reports import DeclaredReports
from utils.reports.report_schemas import problems_of, report_names, report_of, rows_of, schema
from utils.telemetry.event_file import EventFile
from utils.telemetry.events import RunFinished
from utils.telemetry.tasks import Tasks

ENDED = RunFinished(exit_code=0, sentence="", seconds=1.0)


def objects_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that is one of an object with fields of its own."""
    if isinstance(part, dict):
        if part.get("properties") and "type" in part:
            yield part
        for inner in part.values():
            yield from objects_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects_in(inner)


@pytest.mark.parametrize("name", report_names())
def test_a_schema_is_one_and_leaves_no_field_open(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    for each in objects_in(schema(name)):
        assert "additionalProperties" in each, each
        assert each["additionalProperties"] is not True


@pytest.mark.parametrize("name", report_names())
def test_whatever_a_report_opens_with_is_said_of_each_field(name: str) -> None:
    if name in ("events", "finding"):
        return
    assert schema(name)["description"]
    said = {path.partition(".")[0].partition("[")[0] for path, _ in rows_of(name)}
    assert {*schema(name)["properties"]} - {"runId", "at", "tool", "snapshot"} <= said


def test_the_schema_of_events_is_that_of_the_kinds() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run doc_blocks (see CONTRIBUTING.md)"


@pytest.mark.parametrize(
    ("file", "report"),
    [
        ("load_report.json", "load"),
        ("earlier_load_report.json", "load"),
        ("only_in_target_sales_report.json", "only_in_target"),
        ("rollback_plan_report.json", "rollback"),
        ("events.jsonl", "events"),
        ("invented_report.json", None),
    ],
)
def test_a_file_is_known_by_its_name(file: str, report: str | None) -> None:
    assert report_of(file) == report


def test_every_kind_of_event_is_as_the_schema_says(tmp_path: Path) -> None:
    tasks = Tasks()
    tasks.events.listen(EventFile(tmp_path / "events.jsonl"))
    with tasks.task("load", "sales", None) as task:
        task.in_flight = 3
        task.tell()
        task.retried("Timeout")
        task.found("vat", "error", key="12")
    tasks.skipped("load", "buyers")
    tasks.conclude(5, "Done")  # type: ignore[arg-type]
    tasks.events.emit(ENDED)
    content = (tmp_path / "events.jsonl").read_bytes()
    assert content.count(b"\n") >= 6
    assert problems_of("events", content, lines=True) == []
    line = orjson.loads(content.splitlines()[-1])
    assert problems_of("events", orjson.dumps({**line, "further": 1}))


def test_a_report_or_a_field_that_nobody_has_declared_is_found(tmp_path: Path) -> None:
    reports = tmp_path / "data" / "reports"
    reports.mkdir(parents=True)
    (reports / "invented_report.json").write_bytes(b"{}")
    with pytest.raises(AssertionError, match="has no schema"):
        DeclaredReports().check(tmp_path)
    (reports / "invented_report.json").unlink()
    head = {
        "runId": "a",
        "at": "2026-01-01T00:00:00Z",
        "tool": {"version": "1", "rules": "a"},
        "snapshot": {"consistent": None, "statement": None},
        "entities": {},
    }
    (reports / "load_report.json").write_bytes(orjson.dumps(head))
    DeclaredReports().check(tmp_path)
    (reports / "load_report.json").write_bytes(orjson.dumps({**head, "further": 1}))
    with pytest.raises(AssertionError, match="further"):
        DeclaredReports().check(tmp_path)
