"""What is found, as the people read it who have to put it right in S9: by the names that tables and
columns have there, with the causes of what follows from others."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pytest

from tests.conftest import S9Database
from tests.scenarios.conftest import hire
from tests.support.operators.operator import (
    Operator,
    Outcome,
    insert,
    line,
    party,
    sale,
    small_trade,
)

ITALIAN = {
    "msg_anag": {"country": "nazione", "vat_number": "piva", "name": "ragione_sociale"},
    "msg": {"buyer_id": "cliente_id", "status": "stato", "total": "totale"},
    "msg_line": {"unit_price": "prezzo"},
}
PLACES = ("legacyId", "table", "column", "key", "rule", "value")


def much_that_is_wrong(s9: S9Database) -> None:
    """Trade in an S9 with Italian names, in which most of what can be wrong is wrong."""
    small_trade(s9)
    s9.execute("ALTER TABLE msg_line ALTER COLUMN unit_price DROP NOT NULL")
    s9.execute("ALTER TABLE msg_anag ALTER COLUMN name TYPE text")
    s9.execute("UPDATE msg_anag SET country = 'ZZ' WHERE first_id = 2")
    s9.execute("UPDATE msg_anag SET vat_number = '01234567890' WHERE first_id = 1")
    insert(s9, "msg_anag", party(4, 2, enabled=False), party(5, 2, name="S" * 201))
    insert(
        s9,
        "msg",
        sale(12, 4, 3),
        sale(13, 99, 3),
        sale(14, 1, 3),
        sale(15, 5, 3),
        sale(16, 1, 3, status="perso", total="7.50"),
    )
    insert(s9, "msg_line", line(4, 12), line(5, 13), line(6, 14, unit_price=None), line(7, 15))
    for table, columns in ITALIAN.items():
        for english, italian in columns.items():
            s9.execute(f"ALTER TABLE {table} RENAME COLUMN {english} TO {italian}")


_tried: list[tuple[Operator, Outcome]] = []


@pytest.fixture
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Operator, Outcome]:
    """An operator who has rehearsed with all of that, once; what is left is for reading only."""
    if not _tried:
        servers = [request.getfixturevalue(name) for name in ("s9", "aws", "tables")]
        much_that_is_wrong(servers[0])
        operator = hire(tmp_path_factory.mktemp("findings"), *servers)
        _tried.append((operator.rehearsal, operator.run("--dry-run").ended(5)))
    return _tried[0]


def found(operator: Operator, **wanted: str) -> dict[str, Any]:
    """The one finding of validation_report.json that has these values."""
    (one,) = [
        each
        for each in operator.report("validation")["findings"]
        if all(each[name] == value for name, value in wanted.items())
    ]
    assert isinstance(one, dict)
    return one


def test_a_finding_names_table_column_and_key_as_s9_does(tried: tuple[Operator, Outcome]) -> None:
    operator, outcome = tried
    expected = {
        ("buyers", "unknown-country"): ("2", "msg_anag", "nazione", "2", "ZZ"),
        ("sales", "required"): ("14", "msg_line", "prezzo", "6", ""),
        ("sales", "unknown-status"): ("16", "msg", "stato", "16", "perso"),
        ("sales", "unknown-party"): ("13", "msg", "cliente_id", "13", "99"),
    }
    for (entity, rule), (legacy_id, table, column, key, value) in expected.items():
        one = found(operator, entity=entity, rule=rule)
        assert [one[name] for name in PLACES] == [legacy_id, table, column, key, rule, value]
    assert found(operator, rule="required")["message"].startswith("line 6: prezzo is missing")
    vat = found(operator, entity="buyers", rule="vat-number")
    assert (vat["table"], vat["column"], vat["key"]) == ("msg_anag", "piva", "1")
    assert vat["message"].startswith("piva holds")
    assert "01234567890" not in orjson.dumps(vat).decode() + outcome.output, "it is personal"
    assert vat["value"].startswith("01…~")

    held = operator.quarantine("sales")["16"]["findings"][0]
    one = found(operator, rule="unknown-status")
    assert {name: one[name] for name in held} == held, "the quarantine says the same"


def test_a_consequence_names_its_cause(tried: tuple[Operator, Outcome]) -> None:
    operator, _ = tried
    expected = {
        "11": ("2", "copied", "unknown-country"),
        "12": ("4", "not-selected", "disabled (extraction.disabledParties)"),
        "13": ("99", "absent", ""),
        "15": ("5", "refused", "attribute-length"),
    }
    for legacy_id, (key, why, reason) in expected.items():
        cause = found(operator, entity="sales", severity="error", legacyId=legacy_id)["cause"]
        assert cause == {"entity": "buyers", "key": key, "why": why, "reason": reason}
    copied = found(operator, entity="sales", rule="unknown-country")
    assert [copied[name] for name in ("table", "column", "key")] == ["msg_anag", "nazione", "2"]
    reference = found(operator, entity="sales", legacyId="15", severity="error")
    assert (reference["column"], reference["value"]) == ("cliente_id", "5")
    assert reference["message"].endswith("because buyer 5 is refused (attribute-length)")
    assert found(operator, rule="unknown-status")["cause"] is None


def test_the_screen_counts_by_rule_with_an_example_and_causes_come_first(
    tried: tuple[Operator, Outcome],
) -> None:
    operator, outcome = tried
    block = outcome.stderr.partition("Found: ")[2]
    assert block.startswith("8 errors and 1 warning. All of them are in "), outcome.output
    lines = [text.rpartition(" -   ")[2] for text in block.splitlines()]
    cause = next(n for n, text in enumerate(lines) if "unknown-country of buyers" in text)
    consequence = next(n for n, text in enumerate(lines) if "unknown-country of sales" in text)
    warning = next(n for n, text in enumerate(lines) if "warning" in text and n)
    assert cause < consequence < warning
    assert lines[cause] == (
        "1 error unknown-country of buyers: msg_anag 2, nazione ZZ: 'ZZ' is not an ISO 3166 "
        "country code"
    )
    assert "because buyer 5 is refused" in block
    rules = operator.report("findings")["rules"]
    assert sum(each["count"] for each in rules) == 9
    assert [each["consequence"] for each in rules if each["severity"] == "error"] == sorted(
        each["consequence"] for each in rules if each["severity"] == "error"
    )


def test_an_office_can_work_from_the_table(tried: tuple[Operator, Outcome]) -> None:
    operator, _ = tried
    content = (operator.data / "reports" / "findings.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfSeverity;Entity;Record;Table;Key;Column;Value;Rule;")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    listed = operator.report("validation")["findings"]
    assert len(rows) == len(listed) == 9
    assert [(row["Record"], row["Rule"]) for row in rows] == [
        (each["legacyId"], each["rule"]) for each in listed
    ]
    entities = [row["Entity"] for row in rows]
    assert entities == sorted(entities), "parties come before the sales that need them"
    (row,) = [row for row in rows if row["Rule"] == "required"]
    assert row["Table"] == "msg_line" and row["Key"] == "6" and row["Column"] == "prezzo"
    assert {row["Found by"] for row in rows} == {"transform", "validate"}
    assert [row["Because"] for row in rows if row["Record"] == "13"] == ["S9 has no buyer 99"]


def test_the_error_log_has_every_error_with_its_details(tried: tuple[Operator, Outcome]) -> None:
    operator, _ = tried
    path = operator.data / "reports" / "migration_errors.log"
    entries = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    (one,) = [each for each in entries if each.get("rule") == "unknown-status"]
    assert (one["table"], one["column"], one["key"], one["level"]) == (
        "msg",
        "stato",
        "16",
        "ERROR",
    )
    assert len([each for each in entries if "rule" in each]) == 8


def test_what_the_extraction_leaves_out_is_named_as_the_cause(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.configure(extraction={"buyers": {"where": "first_id <> 1"}})
    alone.run("--dry-run").ended(5)
    one = found(alone.rehearsal, rule="reference")
    assert one["cause"] == {
        "entity": "buyers",
        "key": "1",
        "why": "not-selected",
        "reason": "extraction.buyers.where",
    }


def test_what_is_applied_is_counted_and_adds_up(tried: tuple[Operator, Outcome]) -> None:
    operator, _ = tried
    applied = operator.report("mapping")["applied"]
    statuses = applied["sales"]["statuses"]
    transformed = operator.manifest()["phases"]["transform"]["sales"]["result"]["records"]
    assert statuses == {
        "confermato": {"to": "confirmed", "count": transformed},
        "perso": {"to": None, "count": 1},
    }
    assert applied["sales"]["defaults"]["currency = EUR"] == transformed
    assert applied["buyers"]["statuses"]["true"] == {"to": "active", "count": 2}
    times = applied["sales"]["times"]
    assert (times["byHour"][9], sum(times["byHour"])) == (transformed, transformed)
    assert times["suspicions"] == []


def test_every_finding_of_the_sample_says_where_in_s9_it_is(finished: Operator) -> None:
    path = finished.data / "reports" / "validation_findings.jsonl"
    found = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    assert len(found) > 30
    for each in found:
        assert each["table"] and each["key"], each
        assert each["column"] or each["field"] == "linesCount", each


def test_what_the_sample_lacks_is_what_defaults_are_counted_for(finished: Operator) -> None:
    applied = finished.report("mapping")["applied"]["sales"]
    held = finished.quarantine("sales")
    by_transform = {key for key, each in held.items() if each["phase"] == "transform"}
    rows = [row for row in finished.extracted("sales") if str(row["first_id"]) not in by_transform]
    lines = [line for row in rows for line in row["lines"]]

    def lacking(column: str, among: list[dict[str, Any]]) -> int:
        return sum(not str(each[column] or "").strip() for each in among)

    expected = {
        "currency = EUR": lacking("currency", rows),
        "ivaPercentage = 22": lacking("iva_percentage", rows),
        "total = the sum of the lines": lacking("total", rows),
        "createdBy = the migration's user": lacking("created_by", rows),
        "lines.discount = 0": lacking("discount", lines),
        "lines.netAmount = computed": lacking("net_amount", lines),
        "lines.quantity = 1": lacking("quantity", lines),
    }
    assert {name: applied["defaults"][name] for name in expected} == expected
    known = sum(each["count"] for each in applied["statuses"].values() if each["to"])
    assert known == len(rows)
    assert sum(each["count"] for each in applied["users"].values()) == sum(
        bool(row[column]) for row in rows for column in ("created_by", "updated_by")
    )
