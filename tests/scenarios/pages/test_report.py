"""report.html and plan.html in a browser: every figure is that of the reports, whatever has
happened, and everybody can read it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient
from playwright.sync_api import Page

from tests.conftest import TableNames
from tests.support.application.application import Application
from tests.support.browser import HEIGHT, WIDTHS, Browser, Scheme, axe, overflowing
from tests.support.damage.of_each_kind import damage
from tests.support.documents.hostile import make_hostile
from tests.support.documents.lessened import pages_that_fail
from tests.support.operators.operator import ENTITIES, Operator
from tests.support.operators.undone import headers

_NONE = "–"
CASES = 8  # many more are in tests/torture/torture_unexpected.py


def page_of(operator: Operator, name: str = "report") -> str:
    return (operator.data / "reports" / f"{name}.html").resolve().as_uri()


def visited(
    browser: Browser, url: str, *, width: int = 1400, scheme: Scheme = "light", script: bool = True
) -> Page:
    """A page that is looked at."""
    page = browser.page(width, scheme, script=script)
    page.goto(url)
    return page


def table(seen: Page, caption: str) -> list[list[str]]:
    """The rows of a table, its head the first of them, as texts."""
    rows: list[list[str]] | None = seen.evaluate(_TABLE, caption)
    assert rows, f"there is no table {caption!r}"
    return rows


_TABLE = """(caption) => {
  const found = [...document.querySelectorAll('table')].find(
    (each) => each.caption && each.caption.textContent.trim() === caption);
  return found ? [...found.rows].map((row) => [...row.cells].map(
    (cell) => cell.textContent.trim())) : null;
}"""


def number(text: str) -> int | None:
    return None if text in (_NONE, "") else int(text.replace(",", "").replace("−", "-"))


def rows_of(seen: Page, caption: str) -> dict[str, list[str]]:
    """The rows of a table by their heads."""
    return {head: cells for head, *cells in table(seen, caption)[1:]}


def assert_ledger_is_that_of_the_reports(seen: Page, operator: Operator) -> None:
    counts = operator.report("verification")["counts"]
    rows = rows_of(seen, "Where every record has remained")
    stations = {
        "Records selected": ("source", "records"),
        "Records extracted": ("extracted", "records"),
        "Records transformed": ("transformed", "records"),
        "Items that these are": ("transformed", "items"),
        "Items loaded": ("loaded", "items"),
        "Items found in the target": ("target", "items"),
    }
    for name, (station, kind) in stations.items():
        assert [number(each) for each in rows[name]] == [
            counts[entity][station][kind] for entity in ENTITIES
        ], name
    quarantined = [counts[entity]["quarantined"]["records"] for entity in ENTITIES]
    refused = [counts[entity]["refused"]["records"] for entity in ENTITIES]
    together = [early + late for early, late in zip(quarantined, refused, strict=True)]
    if any(together):
        assert [number(each) for each in rows["− in quarantine"]] == together
    reasons: dict[str, list[int | None]] = {
        name.removeprefix("− not selected: "): [number(each) for each in cells]
        for name, cells in rows.items()
        if name.startswith("− not selected: ")
    }
    for place, entity in enumerate(ENTITIES):
        told = {
            reason: values[place] for reason, values in reasons.items() if values[place] is not None
        }
        not_selected: dict[str, int] = counts[entity]["table"]["notSelected"]
        assert {name: count for name, count in told.items() if count} == {
            name: count for name, count in not_selected.items() if count
        }
        closes = "closes" if counts[entity]["closes"] else "does not close"
        assert rows["The ledger closes"][place] == closes


def assert_money_is_that_of_the_reports(seen: Page, operator: Operator) -> None:
    of = operator.report("reconciliation")["entities"]["sales"]
    for total in of["totals"]:
        header, *rows = table(seen, f"All, in {total['currency']}")
        names = {"S9": "s9", "In quarantine": "quarantine", "Difference": "difference"}
        names |= {"Target": "target", "Computed": "computed", "Application": "application"}
        names |= {"Kept": "kept", "Refused": "refused", "Since": "since"}
        assert len(rows) == len(total["figures"])
        for row, figure in zip(rows, total["figures"], strict=True):
            shown = dict(zip(header, row, strict=True))
            for words, name in names.items():
                told = shown.get(words, "0").replace(",", "").replace("−", "-")
                assert float(told) == float(figure[name]), (total["currency"], figure, words)


def assert_findings_are_those_of_the_reports(seen: Page, operator: Operator) -> None:
    rules = operator.report("findings")["rules"]
    rows = table(seen, "Findings by rule")[1:]
    assert len(rows) == len(rules)
    for row, rule in zip(rows, rules, strict=True):
        assert rule["rule"] in row[0]
        assert row[1:] == [rule["entity"], rule["severity"], *_figures(rule, "count", "records")]


def _figures(of: dict[str, Any], *names: str) -> list[str]:
    return [f"{of[name]:,}" for name in names]


def assert_looks_well(browser: Browser, url: str, schemes: Sequence[Scheme] = ("dark",)) -> None:
    """Nothing is wider than the window, whatever it is; and axe-core, which takes its time, has
    nothing to say to it in these colours."""
    seen = visited(browser, url)
    for width in WIDTHS:
        seen.set_viewport_size({"width": width, "height": HEIGHT})
        assert overflowing(seen) == [], width
    seen.evaluate(_UNFOLD)
    for scheme in schemes:
        seen.emulate_media(color_scheme=scheme)
        assert axe(seen) == [], scheme
    seen.close()


_UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


def made_anew(operator: Operator) -> None:
    """The page is made by a process that nobody asks whether the reports are as declared."""
    operator.start("report").end().ended(0)


def test_a_whole_migration(operator: Operator, browser: Browser) -> None:
    operator.run("--dry-run").ended(5)
    plan = operator.rehearsal
    outcome = operator.run("--full").ended(5)
    assert "report.html" in outcome.stdout
    seen = visited(browser, page_of(operator))
    assert_ledger_is_that_of_the_reports(seen, operator)
    assert_money_is_that_of_the_reports(seen, operator)
    assert_findings_are_those_of_the_reports(seen, operator)
    assert outcome.last_line in seen.inner_text("section.verdict")
    planned = rows_of(seen, "Plan and fact")
    assert planned["Items written"][0] == planned["Items written"][1]
    assert planned["Write units"][0] == planned["Write units"][1]
    assert set(browser.requests) == {page_of(operator)}
    phases = rows_of(seen, "Phases")
    loaded = operator.report("load")["entities"].values()
    units = sum(each["consumedWriteUnits"] for each in loaded)
    assert number(phases["Load"][4]) == round(units)
    settings = rows_of(seen, "Settings that differ from their defaults")
    assert settings["source.password"][0] == "set, not shown here"
    assert settings["verify.sample"][0] == "20"
    operator.assert_keeps_its_secrets(outcome)
    assert_looks_well(browser, page_of(operator), ("light", "dark"))
    found = orjson.loads((plan.data / "reports" / "plan.json").read_bytes())
    seen = visited(browser, page_of(plan, "plan"), script=False)
    assert found["verdict"]["meaning"] in seen.inner_text("section.verdict")
    seen = visited(browser, page_of(plan, "plan"))
    to_do = table(seen, "To do before the migration, causes first")[1:]
    assert [row[0] for row in to_do] == [each["what"] for each in found["toDo"]]
    taken = rows_of(seen, "What the load takes")
    tables = found["forecast"]["tables"]
    assert [number(each) for each in taken["Items"]] == [
        tables[entity]["items"] for entity in ENTITIES
    ]
    assert_looks_well(browser, page_of(plan, "plan"))


def test_on_paper_nothing_is_folded_away(operator: Operator, browser: Browser) -> None:
    operator.run("--phase", "extract").ended(0)
    operator.run("--phase", "transform").ended(5)
    operator.run("--phase", "validate").ended(5)
    seen = visited(browser, page_of(operator))
    folded = seen.locator("details table").first
    assert not folded.is_visible()
    seen.emulate_media(media="print")
    assert folded.is_visible()
    assert not seen.locator("nav.contents").is_visible()
    seen.set_viewport_size({"width": 700, "height": 900})
    assert overflowing(seen) == []
    assert seen.pdf()[:5] == b"%PDF-"


def test_nothing_has_been_done(operator: Operator, browser: Browser) -> None:
    refused = operator.run("report").failed(2, "data")
    assert "--full" in refused.stderr
    operator.data.mkdir()
    operator.run("report").ended(0)
    seen = visited(browser, page_of(operator))
    assert "No run has begun" in seen.inner_text("section.verdict")
    assert_looks_well(browser, page_of(operator))


def test_who_has_failed_is_told_why_and_what_to_type(operator: Operator, browser: Browser) -> None:
    operator.configure(source={"password": "wrong"})
    operator.run("--full").ended(1)
    status = orjson.loads(operator.run("status", "--json").ended(0).stdout)
    seen = visited(browser, page_of(operator))
    verdict = seen.inner_text("section.verdict")
    assert status["next"] in verdict
    assert status["words"] in verdict
    assert_looks_well(browser, page_of(operator))


@pytest.fixture(scope="module")
def troubled() -> list[Path]:
    """Where a data directory with many reports is kept, once there is one."""
    return []


@pytest.fixture
def after_trouble(
    operator: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    troubled: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Operator:
    """An operator whose data directory has nearly every report that there is."""
    if not troubled:
        application = Application(dynamodb, tables)
        operator.run("--dry-run").ended(5)
        operator.run("--full").ended(5)
        damage(application, operator)
        application.change(
            "sales", headers(operator, "sales")[9], notes={"S": "by the application"}
        )
        operator.run("--phase", "verify", "--repair").ended(4)
        operator.run("rollback", "--yes").ended(0)
        operator.configure(load={"onConflict": "overwrite"})
        operator.run("--full").ended(4)
        operator.run("--phase", "verify", "--repair-extra")
        operator.run("sync")
        operator.run("--phase", "verify")
        troubled.append(tmp_path_factory.mktemp("troubled") / "data")
        shutil.copytree(operator.data, troubled[0])
        for earlier in (troubled[0] / "reports").glob("earlier_*.json"):
            now = earlier.with_name(earlier.name.removeprefix("earlier_"))
            if not now.exists():
                earlier.rename(now)
    shutil.copytree(troubled[0], operator.data, dirs_exist_ok=True)
    return operator


def test_every_kind_of_trouble_is_told(
    operator: Operator, dynamodb: DynamoDBClient, tables: TableNames, browser: Browser
) -> None:
    application = Application(dynamodb, tables)
    operator.run("--full").ended(5)
    damage(Application(dynamodb, tables), operator)
    sale = headers(operator, "sales")[9]
    application.change("sales", sale, notes={"S": "by the application"})
    operator.run("--phase", "verify").ended(4)
    found = operator.report("verification")
    seen = visited(browser, page_of(operator))
    assert_ledger_is_that_of_the_reports(seen, operator)
    items = rows_of(seen, "Items, one by one")
    for words, name in (
        ("Missing in the target", "missing"),
        ("With other content", "different"),
        ("Written by a migration, and only in the target", "extra"),
        ("Changed by the application since", "changedSince"),
    ):
        assert [number(each) for each in items[words]] == [
            found["keys"][entity][name]["count"] for entity in ENTITIES
        ]
    text = seen.inner_text("#ledger")
    assert all(problem in text for problem in found["problems"])
    seen.evaluate(_UNFOLD)
    kept = seen.inner_text("#kept")
    assert sale["PK"]["S"] in kept
    off = table(seen, "Rows that do not add up")[1:]
    different = operator.report("reconciliation")["entities"]["sales"]["differences"]
    assert len({row[0] for row in off}) >= different["count"]
    assert_looks_well(browser, page_of(operator))

    operator.run("--phase", "verify", "--repair", "--repair-extra").ended(5)
    done = operator.report("repair")["entities"]
    seen = visited(browser, page_of(operator))
    repaired = rows_of(seen, "What the repair has done")
    assert {name: int(cells[0]) for name, cells in repaired.items()} == {
        name: of["records"] for name, of in done.items()
    }
    assert_money_is_that_of_the_reports(seen, operator)

    operator.run("rollback", "--yes").ended(0)
    undone = operator.report("rollback")["entities"]
    seen = visited(browser, page_of(operator))
    assert "was undone" in seen.inner_text("section.verdict")
    rows = rows_of(seen, "What the rollback has done, in items")
    assert {name: number(cells[0]) for name, cells in rows.items()} == {
        name: of["created"]["count"] for name, of in undone.items()
    }
    assert_looks_well(browser, page_of(operator))


def test_what_comes_from_outside_is_only_shown(after_a_run: Operator, browser: Browser) -> None:
    """Every text in every report, in the manifest and in the events that its schema does not fix
    is one that wants to be more than a text."""
    operator = after_a_run
    count = make_hostile(operator.data)
    assert count > 300
    made_anew(operator)
    seen = visited(browser, page_of(operator))
    seen.evaluate(_UNFOLD)
    assert seen.evaluate("window.hacked === undefined")
    assert seen.locator("script, img, iframe, object, link").count() == 0
    assert seen.locator("[onerror], [onload], [onclick]").count() == 0
    text = seen.inner_text("main")
    assert text.count("<script>") > 50
    assert not set(text) & set("\u202e\u2066\x1b\x07")
    assert set(browser.requests) == {page_of(operator)}
    assert_looks_well(browser, page_of(operator), schemes=())


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(
    after_a_run: Operator, browser: Browser
) -> None:
    operator = after_a_run
    reports = operator.data / "reports"
    (reports / "load_report.json").write_bytes(b"{")
    (reports / "findings_report.json").write_bytes(b'{"rules": 3}')
    (operator.data / "events.jsonl").write_bytes(b"\xff\xfe\n{}\n")
    made_anew(operator)
    seen = visited(browser, page_of(operator))
    verdict = seen.inner_text("section.verdict")
    assert "load_report.json is damaged" in verdict
    assert "findings_report.json does not have the form" in verdict
    assert_ledger_is_that_of_the_reports(seen, operator)
    (operator.data / "manifest.json").write_bytes(b"no manifest")
    made_anew(operator)
    seen = visited(browser, page_of(operator))
    assert "manifest.json" in seen.inner_text("section.verdict")


@pytest.mark.parametrize("seed", range(3))
def test_every_report_may_have_less_in_it(
    seed: int, after_trouble: Operator, tmp_path: Path
) -> None:
    """Whatever the schemas allow to be missing, null or empty: the page is made, without a word
    about what cannot be read."""
    assert not list(pages_that_fail(after_trouble.data, tmp_path / "less", seed, CASES))


def test_a_page_of_ten_thousand_findings_is_small(after_a_run: Operator) -> None:
    operator = after_a_run
    reports = operator.data / "reports"
    findings = orjson.loads((reports / "findings_report.json").read_bytes())
    example = findings["rules"][0]
    long = {**example["example"], "message": "x" * 300, "value": "y" * 200}
    findings["rules"] = [
        {**example, "rule": f"rule-{number}", "count": 50, "example": long} for number in range(200)
    ]
    (reports / "findings_report.json").write_bytes(orjson.dumps(findings))
    lines = [
        orjson.dumps({**long, "rule": f"rule-{n % 200}", "legacyId": str(n)}) for n in range(10_000)
    ]
    (reports / "validation_findings.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    made_anew(operator)
    assert (reports / "report.html").stat().st_size < 2_000_000


def test_who_is_killed_leaves_no_page_of_what_was_before(operator: Operator) -> None:
    operator.run("--full").ended(5)
    page = operator.data / "reports" / "report.html"
    before = page.read_bytes()
    with operator.start("--phase", "verify") as running:
        events = operator.data / "events.jsonl"
        running.wait_for(lambda: b'"command":"phase"' in events.read_bytes())
        running.process.send_signal(signal.SIGKILL)
        running.end()
    assert not page.exists()
    assert page.with_name("earlier_report.html").read_bytes() == before
    operator.run("report").ended(0)
    assert "was stopped: it was killed" in page.read_text("utf-8")
