"""The table of findings is safe to open, and masks what the logs mask."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from utils.files.findings import Cause, Finding
from utils.files.workspace import Workspace
from utils.findings import findings_table
from utils.findings.findings_table import FindingsTable, RuleCount
from utils.findings.findings_text import said_of
from utils.findings.shown_values import shown

BAD = Finding("sales", "7", "notes", "email", "error", "is bad")


def cells(files: Workspace, *findings: Finding) -> list[dict[str, str]]:
    with FindingsTable(files, logs=False) as table:
        for finding in findings:
            table.add(finding, "validate")
        table._stream.flush()
        text = table._partial.read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+39 02", "'+39 02"),
        ("-12.50", "'-12.50"),
        ("@SUM", "'@SUM"),
        ("\t=1", "' =1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ('a;"b"\r\nc', 'a;"b" c'),
        ("caffè 🏭", "caffè 🏭"),
        ("a\u202eb\x00", "a b "),
        ("half \ud83d", "half \\ud83d"),
    ],
)
def test_no_cell_is_a_formula_or_breaks_the_table(tmp_path: Path, value: str, cell: str) -> None:
    files = Workspace(tmp_path)
    files.prepare()
    finding = Finding("sales", "7", "f", "r", "error", value, "t", value, value, value)
    (row,) = cells(files, finding)
    assert [row[name] for name in ("Value", "What is wrong", "Column", "Key")] == [cell] * 4


def test_causes_come_before_consequences_and_errors_before_warnings(tmp_path: Path) -> None:
    files = Workspace(tmp_path)
    files.prepare()
    cause = Cause("buyers", "2", "refused", "country")
    found = [
        Finding("sales", "1", "", "reference", "error", "m", cause=cause),
        Finding("buyers", "1", "", "email", "warning", "m"),
        *[Finding("sales", "2", "", "unknown-status", "error", "m")] * 2,
        Finding("buyers", "2", "", "country", "error", "m"),
    ]
    with FindingsTable(files, logs=False) as table:
        for finding in found:
            table.add(finding, "validate")
        rules = table.rules()
    order = [(each.rule, each.count, each.records) for each in rules]
    assert order[:2] == [("country", 1, 1), ("unknown-status", 2, 1)]
    assert order[2:] == [("reference", 1, 1), ("email", 1, 1)]


def test_the_block_says_how_much_it_leaves_out() -> None:
    example = BAD.as_json()
    rules = [RuleCount("sales", f"rule-{n}", "error", False, 2, 1, example) for n in range(10)]
    text = said_of(rules, Path("findings.csv"))
    assert text.splitlines()[0] == "Found: 20 errors. All of them are in findings.csv"
    assert text.splitlines()[-1] == "  and 2 more rules with 4 findings, in findings.csv"
    assert len(text.splitlines()) == 10
    assert said_of([], Path("findings.csv")) == ""


def test_the_log_has_a_bounded_number_of_each_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(findings_table, "LOGGED_PER_RULE", 3)
    files = Workspace(tmp_path)
    files.prepare()
    with FindingsTable(files) as table:
        for _ in range(5):
            table.add(BAD, "validate")
        table._log_the_rest(table.rules())
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:3] == ["is bad"] * 3
    assert "2 further findings" in messages[3] and len(messages) == 4


@pytest.mark.parametrize(
    ("value", "schema", "attribute", "text"),
    [
        (None, "buyer", "vatNumber", ""),
        (True, "sale", "invoiceGenerated", "true"),
        (12, "sale", "saleNumber", "12"),
        ("12.50", "sale", "total", "12.50"),
        ("2024-13-01", "sale", "saleDate", "2024-13-01"),
        ("perso", "sale", "status", "perso"),
        ("Zembla", "buyer", "country", "Zembla"),
        (" ", "buyer", "email", "(blank)"),
        ([1, 2], "buyer", "email", "(2 values)"),
    ],
)
def test_what_is_not_personal_is_shown(
    value: object, schema: str, attribute: str, text: str
) -> None:
    assert shown(value, schema, attribute) == text


@pytest.mark.parametrize(
    ("value", "schema", "attribute"),
    [
        ("01234567890", "buyer", "vatNumber"),
        ("Rossi Maria", "buyer", "companyName"),
        ("Rossi Maria", "buyer", "GSI1SK"),
        ("ABC1234", "buyer", "sdi"),
        ("Rossi Maria", "sale", "saleDate"),
        ("Rossi Maria", "sale", "total"),
        ("Rossi Maria", "", ""),
        ("maria@example.com", "sale", "status"),
    ],
)
def test_what_may_be_personal_is_masked(value: str, schema: str, attribute: str) -> None:
    assert "…~" in shown(value, schema, attribute)
    assert value not in shown(value, schema, attribute)
