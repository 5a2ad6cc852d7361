"""What the pages say of a data directory, asked without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.fleet.events import fleet_at_work
from tests.support.operators.dashboards import Dashboard, dashboard_in
from utils.cutover.state import STEPS
from utils.dashboard.sections import GATES
from utils.files.workspace import Workspace
from utils.telemetry.event_file import EventFile
from utils.telemetry.events import (
    Count,
    EventStream,
    Found,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
)

MOMENT = "2026-11-27T10:00:00.000Z"
PHASE = Step("validate", "sales")


@pytest.fixture
def files(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "data")
    (made.root / "quarantine").mkdir(parents=True)
    return made


@pytest.fixture
def dashboard(files: Workspace) -> Iterator[Dashboard]:
    with dashboard_in(files.root) as begun:
        yield begun


def page(dashboard: Dashboard, path: str = "/") -> str:
    answer = dashboard.ask(path, Cookie=dashboard.cookie())
    assert answer.status == 200
    return answer.body


def explained(dashboard: Dashboard, entity: str, key: str) -> str:
    form = f"entity={entity}&key={key}"
    known = {"Cookie": dashboard.cookie(), "Origin": dashboard.origin}
    return dashboard.ask("/explain", "POST", form, **known).body


def told(files: Workspace, run: str = "r1") -> EventStream:
    """A run that tells what it does."""
    stream = EventStream(run)
    stream.listen(EventFile(files.events))
    stream.emit(RunBegun(command="full", phases=("validate", "load"), pid=1))
    return stream


def found(stream: EventStream, times: int, step: Step = PHASE) -> None:
    stream.emit(Found(step=step, rule="iban", severity="warning", times=times, key="7"))


def begun(stream: EventStream, step: Step = PHASE, done: int = 0) -> None:
    stream.emit(StepBegun(step=step, count=Count(done=done, total=9)))


def test_what_is_encrypted_says_so_and_is_not_opened(
    files: Workspace, dashboard: Dashboard
) -> None:
    told(files)
    (files.root / "quarantine" / "sales.json.age").write_bytes(b"age-encryption.org/v1\n")
    assert "encrypted" in page(dashboard)
    assert "it is not opened for a browser" in page(dashboard, "/quarantine/sales")


def test_personal_values_are_masked_and_codes_are_not(
    files: Workspace, dashboard: Dashboard
) -> None:
    record = {"first_id": 12, "buyer_name": "Rossi S.p.A.", "total": "12.50", "unknown": "Verdi"}
    entry = {"entity": "sales", "legacyId": "12", "phase": "validate", "findings": []}
    line = orjson.dumps({**entry, "reason": "it has no lines", "record": record})
    files.quarantine("sales").write_bytes(line + b"\n")
    shown = page(dashboard, "/quarantine/sales")
    assert "it has no lines" in shown
    assert "Rossi" not in shown
    assert "Verdi" not in shown
    assert "buyer_name" in shown


def test_a_step_that_begins_anew_finds_the_same_again(
    files: Workspace, dashboard: Dashboard
) -> None:
    stream = told(files)
    begun(stream)
    found(stream, 3)
    begun(stream, Step("validate", "sales", "duplicates"))
    found(stream, 2, Step("validate", "sales", "duplicates"))
    assert "5 things were found" in page(dashboard)
    begun(stream, done=4)  # resumed
    found(stream, 1)
    time.sleep(0.6)
    assert "6 things were found" in page(dashboard)
    begun(stream)
    found(stream, 1)
    time.sleep(0.6)
    assert "3 things were found" in page(dashboard)
    told(files, "r2")
    time.sleep(0.6)
    assert "things were found" not in page(dashboard)


def test_the_file_of_events_may_be_shortened_or_damaged(
    files: Workspace, dashboard: Dashboard
) -> None:
    stream = told(files)
    begun(stream)
    found(stream, 3)
    page(dashboard)
    partial = files.events.with_suffix(".new")
    partial.write_bytes(files.events.read_bytes() + b'{"half": \nnull\n[]\n\xff\n')
    partial.replace(files.events)
    time.sleep(0.6)
    assert "3 things were found" in page(dashboard)


def test_what_is_inside_can_be_chosen_and_the_last_is_shown(
    files: Workspace, dashboard: Dashboard
) -> None:
    told(files).emit(RunFinished(exit_code=0, sentence="Done: the real one", seconds=1.0))
    inner = Workspace(files.dry_run)
    inner.root.mkdir()
    time.sleep(0.01)
    told(inner, "r2").emit(RunFinished(exit_code=0, sentence="Planned: so", seconds=1.0))
    assert "Planned: so" in page(dashboard)
    assert "Done: the real one" in page(dashboard, "/?of=data")
    assert "Rehearsal" in page(dashboard)


def test_an_end_is_shown_with_its_figures(files: Workspace, dashboard: Dashboard) -> None:
    stream = told(files)
    begun(stream)
    count = Count(done=9, total=9, errors=2)
    stream.emit(StepFinished(step=PHASE, count=count, outcome="failed", seconds=2.0))
    stream.emit(RunFinished(exit_code=1, sentence="S9 has gone", seconds=2.5))
    shown = page(dashboard)
    for words in ("S9 has gone", "9 of 9 records", "2 records refused", "failed"):
        assert words in shown


def test_every_gate_of_the_cut_over_has_words() -> None:
    assert tuple(GATES) == STEPS


def test_a_follower_that_is_not_at_work_is_not_said_to_be(
    files: Workspace, dashboard: Dashboard
) -> None:
    told(files)
    files.following.parent.mkdir()
    known = {"name": "x", "since": MOMENT, "at": MOMENT, "snapshot": MOMENT, "passes": 3}
    files.following.write_bytes(orjson.dumps({**known, "lag": 2.5, "version": 1}))
    shown = page(dashboard)
    assert "no command is at work at this moment" in shown
    assert "2.5 s, from S9&#39;s commit to the target" in shown


def test_what_nobody_knows_is_told_so_and_never_said_again_raw(dashboard: Dashboard) -> None:
    for key in ("", "%3Cscript%3E", "12%0A13", "Rossi", "9" * 200):
        shown = explained(dashboard, "sales", key)
        assert "<script>" not in shown
        assert "Traceback" not in shown
    shown = explained(dashboard, "sales", "12")
    assert "not asked: only the files are looked at here" in shown
    for name in ("buyers", "producers", "sales"):
        assert f'<option value="{name}"' in shown


def test_a_fleet_is_shown_where_there_is_one(files: Workspace, dashboard: Dashboard) -> None:
    stream = told(files)
    begun(stream)
    stream.emit(fleet_at_work(PHASE, software="Spark 4.1.4 <script>", ended=40, lost=3))
    shown = page(dashboard)
    assert "Tasks by phase" in shown
    assert "spark://head:7077" in shown
    assert "Spark 4.1.4 &lt;script&gt;" in shown


def test_one_machine_alone_is_no_fleet(files: Workspace, dashboard: Dashboard) -> None:
    begun(told(files))
    assert "Tasks by phase" not in page(dashboard)
