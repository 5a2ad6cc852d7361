"""The dashboard in a browser: it follows a run through whatever happens to it, without a reload,
and says what `status` says."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import S9Database
from tests.support.aws.proxy import FaultyProxy, Gate, Plan
from tests.support.browser import PHONE, WIDTHS, Browser, Scheme, axe, overflowing
from tests.support.documents.hostile import PAYLOADS, make_hostile
from tests.support.operators.dashboards import Dashboard, dashboard_in, dashboard_of
from tests.support.operators.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws
from utils.files.workspace import Workspace
from utils.telemetry.event_file import EventFile
from utils.telemetry.events import (
    Count,
    EventStream,
    Found,
    Progressed,
    RunBegun,
    Step,
    StepBegun,
    TableState,
    Throttled,
)

_LOOKS = [f"/look/{name}" for name in ("look.css", "dashboard.css", "dashboard.js")]


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


def opened(browser: Browser, dashboard: Dashboard, **window: Any) -> Page:
    page = browser.page(**window)
    page.goto(dashboard.address)
    page.evaluate("() => { window.loadedOnce = true; }") if window.get("script", True) else None
    return page


def seen(operator: Operator) -> Any:
    return json.loads(operator.run("status", "--json").ended(0).stdout)


def expect_verdict(page: Page, words: str) -> None:
    expect(page.locator("section.verdict")).to_contain_text(words, timeout=15_000)


def test_a_page_follows_a_run_that_is_killed_resumed_and_cleaned_up(
    trade: Operator, aws: EmbeddedAws, browser: Browser
) -> None:
    gate = Gate()
    with FaultyProxy(aws, Plan(always=gate.holds)) as proxy, dashboard_of(trade) as dashboard:
        trade.configure(target={"endpoint": proxy.url})
        assert not trade.data.exists()
        page = opened(browser, dashboard)
        expect_verdict(page, "No run has begun")
        with trade.start("--full") as running:
            running.wait_for(gate.asked.is_set)
            expect_verdict(page, f"is at work in data (process {running.process.pid})")
            expect(page.locator(".steps li.busy .name").last).to_contain_text("Load, buyers")
            expect(page.locator(".phases")).to_contain_text("to come")
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
        expect_verdict(page, "it was killed")
        killed = seen(trade)
        expect(page.locator(".verdict .command")).to_have_text(killed["next"])
        gate.let.set()
        trade.run("--resume").ended(0)
        expect_verdict(page, "Done: every record arrived.")
        assert_says_what_status_says(page, seen(trade))
        trade.run("clean", "--yes").ended(0)
        expect_verdict(page, "No run has begun")
        trade.run("--full").ended(0)
        expect_verdict(page, "Done: every record arrived.")
        assert page.evaluate("() => window.loadedOnce")
        assert browser.complaints == []
        dashboard.running.interrupt()
        ended = dashboard.running.end(10)
        expect(page.locator("#live")).to_contain_text("the dashboard has ended")
        assert (ended.code, ended.closing, ended.stderr) == (0, "dashboard-ended", "")


def assert_says_what_status_says(page: Page, status: Any) -> None:
    for step in status["steps"]:
        if step["step"] or step["state"] == "skipped":
            continue
        name = f"{step['phase'].capitalize()}, {step['entity']}"
        row = page.locator(".steps li", has=page.get_by_text(name, exact=True))
        expect(row.locator(".state")).to_have_text("done")
        unit = step["unit"] if step["total"] != 1 else step["unit"].removesuffix("s")
        expect(row.locator("strong")).to_have_text(f"{step['done']:,} of {step['total']:,} {unit}")


def test_what_has_ended_is_shown_as_the_reports_have_it(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    findings = finished.report("findings")
    with dashboard_in(data) as dashboard:
        page = opened(browser, dashboard)
        assert_says_what_status_says(page, seen(finished))
        counts = f"{findings['errors'] + findings['warnings']} things were found"
        expect(page.locator("#findings")).to_contain_text(counts)
        sums: dict[tuple[str, str], int] = {}
        for each in findings["rules"]:
            place = each["rule"], each["entity"]
            sums[place] = sums.get(place, 0) + each["count"]
        for (rule, entity), times in sums.items():
            row = (
                page.locator("#findings tbody")
                .first.locator("tr")
                .filter(has=page.get_by_text(rule, exact=True))
                .filter(has=page.get_by_role("cell", name=entity, exact=True))
            )
            shown = sum(
                int(each.replace(",", "")) for each in row.locator(".number").all_inner_texts()
            )
            assert shown == times, (rule, entity)
        refused = finished.quarantine("sales")
        assert refused
        page.get_by_role("link", name="Look at the sales").click()
        expect(page.locator("main section")).to_have_count(min(len(refused), 20))
        key, entry = next(iter(refused.items()))
        expect(page.locator("main")).to_contain_text(entry["reason"])
        names = [value for name, value in entry["record"].items() if name == "buyer_name" and value]
        assert not any(name in page.content() for name in names)
        page.get_by_role("button", name=f"Explain Sale {key}", exact=True).click()
        expect_verdict(page, f"Sale {key} is in quarantine")
        assert page.url == f"{dashboard.origin}/explain"
        source = page.get_by_role("row", name="S9 now")
        expect(source).to_contain_text("unknown")
        expect(source).to_contain_text(f"python migrate.py explain sales {key}")
        assert axe(page) == []
        assert not any(
            entry["PK"] in url or "360" in url.rpartition(":")[2] for url in browser.requests
        )


def test_everybody_can_read_it_at_every_width(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    schemes: tuple[Scheme, ...] = ("light", "dark", "light")
    with dashboard_in(data) as dashboard:
        for width, scheme in zip(WIDTHS, schemes, strict=True):
            page = opened(browser, dashboard, width=width, scheme=scheme)
            expect(page.locator("#live")).to_have_text("Live")
            for path in ("/", "/quarantine/buyers") if width == PHONE else ("/",):
                if path != "/":
                    page.goto(f"{dashboard.origin}{path}")
                page.evaluate("() => document.querySelectorAll('details').forEach(e => e.open = 1)")
                assert overflowing(page) == []
                assert axe(page) == []
        assert browser.complaints == []


def test_without_script_it_shows_how_things_are(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    with dashboard_in(data) as dashboard:
        page = opened(browser, dashboard, script=False)
        expect_verdict(page, seen(finished)["sentence"])
        expect(page.locator("noscript p")).to_be_visible()
        page.locator("#explain input[name=key]").fill("1")
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("h1")).to_have_text("What became of one record")


def test_what_comes_from_outside_is_a_text_wherever_it_is_shown(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    make_hostile(data)
    plant_hostile(Workspace(data))
    with dashboard_in(data) as dashboard:
        page = opened(browser, dashboard)
        expect(page.locator("#phases")).to_contain_text("<script>window.hacked = 1</script>")
        expect(page.locator("#following")).to_contain_text("onerror=")
        expect(page.locator("#cutover")).to_contain_text("<iframe")
        for path in ("", "quarantine/sales"):
            page.goto(f"{dashboard.origin}/{path}")
            page.wait_for_timeout(300)
            page.evaluate("() => document.querySelectorAll('details').forEach(e => e.open = true)")
            assert page.evaluate("() => window.hacked") is None
            assert page.locator("main iframe, main img, main script").count() == 0
            assert not set("\u202e\u2066\x1b\x07") & set(page.content())
            assert overflowing(page) == []
            assert axe(page) == []
        assert browser.complaints == []


def plant_hostile(files: Workspace) -> None:
    """Whatever else the dashboard shows, in the words of somebody who means no good."""
    files.events.unlink()
    stream = EventStream("<b>run</b>")
    stream.listen(EventFile(files.events))
    stream.emit(RunBegun(command=PAYLOADS[1], phases=("load", PAYLOADS[2]), pid=1))
    for payload in PAYLOADS:
        step = Step("load", payload, payload)
        stream.emit(StepBegun(step=step, count=Count(total=10, unit="items")))
        stream.emit(Progressed(step=step, count=Count(done=5, total=10, unit=payload)))
        stream.emit(Throttled(step=step, by=payload, reason=payload, seconds=2.0))
        stream.emit(Found(step=step, rule=payload, severity=payload, key=payload))
        stream.emit(TableState(table=payload, state=payload))
    stream.emit(StepBegun(step=Step("load", PAYLOADS[0]), count=Count(total=3)))
    lines = [
        {
            "entity": "sales",
            "legacyId": payload,
            "PK": payload,
            "phase": payload,
            "rule": payload,
            "field": payload,
            "reason": payload,
            "items": 1,
            "findings": [{"rule": payload, "message": payload, "value": payload, "table": payload}],
            "record": {"first_id": 1, payload: payload, "lines": [{payload: payload}]},
        }
        for payload in PAYLOADS
    ]
    files.quarantine("sales").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lines))
    files.following.parent.mkdir(exist_ok=True)
    moment = "2026-11-27T10:00:00.000Z"
    known: dict[str, Any] = {"name": "x", "since": moment, "at": moment, "snapshot": PAYLOADS[3]}
    known |= {"trouble": PAYLOADS[1], "oldest": PAYLOADS[4], "log": {}, "passes": 1, "records": 2}
    known |= {"lag": 1.5, "retained": 12, "version": 1}
    files.following.write_bytes(orjson.dumps(known))
    gate = {"at": PAYLOADS[0], "seconds": 1.0, "evidence": {}}
    cutover: dict[str, Any] = {
        "version": 1,
        "revision": 1,
        "cutover": PAYLOADS[0],
        "began": PAYLOADS[0],
    }
    cutover |= {"owner": "S9", "switchedAt": None, "source": {}, "target": {}}
    cutover |= {"steps": {"in-step": gate}, "history": [
        {"at": payload, "what": payload, "after": payload} for payload in PAYLOADS
    ]}  # fmt: skip
    files.cutover.write_bytes(orjson.dumps(cutover))


def test_damaged_files_are_said_to_be_and_the_page_goes_on(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    manifest = data / "manifest.json"
    whole = manifest.read_bytes()
    with dashboard_in(data) as dashboard:
        page = opened(browser, dashboard)
        expect_verdict(page, seen(finished)["sentence"])
        manifest.write_bytes(whole[: len(whole) // 2])
        expect_verdict(page, "is damaged")
        manifest.write_bytes(whole)
        expect_verdict(page, seen(finished)["sentence"])
        for path in (*(data / "reports").glob("*_report.json"), *(data / "quarantine").iterdir()):
            path.write_bytes(b'{"half": ')
        (data / "cutover.json").write_bytes(b"{}")
        expect(page.locator("#part-verdict")).to_contain_text("damaged")
        page.goto(f"{dashboard.origin}/quarantine/sales")
        expect_verdict(page, "1 line of this page cannot be read")
        assert browser.complaints == []


def test_more_pages_than_a_browser_has_connections_share_one_stream(
    finished: Operator, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    with dashboard_in(data) as dashboard:
        first = opened(browser, dashboard)
        pages = [first]
        for _ in range(8):
            page = first.context.new_page()
            page.goto(dashboard.origin)
            pages.append(page)
        (data / "manifest.json").write_bytes(b"{")
        for page in pages:
            expect_verdict(page, "is damaged")
        pages[0].close()  # whoever listened: another goes on with it
        shutil.copy(finished.data / "manifest.json", data / "manifest.json")
        for page in pages[1:]:
            expect_verdict(page, seen(finished)["sentence"])
