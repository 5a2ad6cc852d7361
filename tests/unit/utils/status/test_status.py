"""How it stands in a data directory, as somebody sees it who only looks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from migrate import cli
from tests.support.fleet.events import fleet_at_work
from tests.support.places import ROOT
from utils.error_handler import ExitCode, MigrationError
from utils.files.workspace import Workspace
from utils.reports.report_schemas import problems_of
from utils.run.lock import held_by, run_lock
from utils.run.manifest import Manifest
from utils.status.status import Watcher, latest, watchers
from utils.telemetry.command_events import command_told
from utils.telemetry.events import EventStream, FleetGone, Step, TableState
from utils.telemetry.tasks import Tasks
from utils.telemetry.troubles import Troubles
from utils.wording import invocation

RUN = "1b1556eb"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A data directory, in the directory where commands are typed."""
    monkeypatch.chdir(tmp_path)
    made = Workspace(tmp_path / "data")
    made.prepare()
    return made


@pytest.fixture(autouse=True)
def _called_by_nobody() -> Iterator[None]:
    before = replace(invocation.state())
    yield
    invocation.restore(before)


@contextmanager
def at_work(
    files: Workspace, command: str = "full", phases: Sequence[str] = ("extract", "load", "verify")
) -> Iterator[Tasks]:
    """A command at work, with the lock."""
    tasks = Tasks(EventStream(RUN))
    with run_lock(files.lock), command_told(files, tasks, command, phases=phases):
        yield tasks


def has_begun(files: Workspace, stopped: str = "") -> Manifest:
    """What the manifest says of a run that has read S9."""
    manifest = replace(Manifest.new(), run_id=RUN, snapshot={"consistent": True}, stopped=stopped)
    manifest.outcome = ExitCode.FAILED if stopped else None
    manifest.save(files.manifest)
    return manifest


def status(*words: str) -> Result:
    return CliRunner().invoke(cli, ["status", *words], prog_name="migrate.py")


def document(*words: str) -> Any:
    """What `status --json` prints, with exit code 0."""
    result = status("--json", *words)
    assert result.exit_code == 0, result.output
    assert problems_of("status", result.stdout_bytes) == []
    return json.loads(result.stdout)


def test_where_nothing_has_been_done_it_says_so(files: Workspace) -> None:
    assert document()["state"] == "none"
    result = status()
    assert result.exit_code == 0
    assert result.output == "Nothing has been done in data. Start: python migrate.py --full\n"


def test_a_run_at_work_is_seen_step_by_step(files: Workspace) -> None:
    with at_work(files) as tasks:
        with tasks.task("extract", "buyers", 60) as task:
            task.advance(60, errors=2)
        tasks.events.emit(TableState(table="SalesTable", state="UPDATING"))
        with tasks.task("load", "sales", 4_000, unit="items") as task:
            short = "GSI4-QueryByDate", "IndexWriteThroughputExceeded"
            waited: Counter[tuple[str, str]] = Counter()
            waited[short] += 2.125  # type: ignore[assignment]
            task.heard(Troubles(throttled=Counter({short: 3}), waited=waited))
            task.retried("connection lost", 2)
            time.sleep(1.1)
            task.advance(1_000, write_units=1_250.0)
            seen = document()
            shown = status().output
    assert (seen["state"], seen["runId"], seen["command"]) == ("running", RUN, "full")
    assert seen["pid"] == os.getpid()
    assert seen["exitCode"] is None
    assert seen["toCome"] == ["verify"]
    assert seen["notReady"] == ["SalesTable is UPDATING"]
    extract, load = seen["steps"]
    assert (extract["state"], extract["done"], extract["errors"]) == ("done", 60, 2)
    assert (load["state"], load["done"], load["total"], load["unit"]) == (
        "running",
        1_000,
        4_000,
        "items",
    )
    assert load["secondsLeft"] is None or load["secondsLeft"] > 0
    assert (load["retries"], load["writeUnits"]) == (2, 1_250.0)
    (throttling,) = load["throttled"]
    assert throttling == {
        "by": "GSI4-QueryByDate",
        "reason": "IndexWriteThroughputExceeded",
        "times": 3,
        "seconds": 2.125,
    }
    lines = shown.splitlines()
    assert lines[0].startswith(f"Run {RUN} (full) is at work in data (process {os.getpid()})")
    assert lines[1].startswith("[Extract] Buyers: 100% (60/60)")
    assert lines[2].startswith("[Load] Sales: 25% (1,000/4,000)")
    assert "throttled by GSI4-QueryByDate, 2.1 s" in lines[2]
    assert lines[3] == "To come: verify"
    assert lines[4] == "It goes on; to watch it: python migrate.py status --watch"


def test_machines_that_share_the_work_are_seen(files: Workspace) -> None:
    first, second = Step("extract", "sales"), Step("load", "sales")
    there = fleet_at_work(first, ended=40)
    with at_work(files) as tasks:
        assert document()["fleet"] is None
        tasks.events.emit(there)
        tasks.events.emit(replace(there, step=second, tasks=9, ended=3, lost=1))
        tasks.events.emit(replace(there, step=second, tasks=8, ended=2, lost=1))
        seen, shown = document(), status().output
        tasks.events.emit(FleetGone(step=second))
        gone = document()["fleet"]
    assert seen["fleet"] == {
        "software": "Spark 4.1.4",
        "master": "spark://head:7077",
        "machines": 2,
        "executors": 4,
        "cores": 16,
        "tasks": 8,
        "isThere": True,
        "phases": [
            {"phase": "extract", "ended": 40, "lost": 0},
            {"phase": "load", "ended": 5, "lost": 2},
        ],
    }
    assert (
        "Fleet: Spark 4.1.4 at spark://head:7077, 16 cores on 2 machines (4 executors), "
        "8 tasks at work; extract 40 tasks; load 5 tasks and 2 lost\n"
    ) in shown
    assert gone == {**seen["fleet"], "tasks": 0, "isThere": False}
    with at_work(files):  # another command, which has none
        assert document()["fleet"] is None


def test_who_looks_is_not_noticed(files: Workspace) -> None:
    """Nothing is created, written or locked: whoever wants the lock at that moment gets it."""
    with at_work(files):
        pass
    before = {path: path.stat().st_mtime_ns for path in files.root.rglob("*")}
    assert document()["state"] == "finished"
    assert {path: path.stat().st_mtime_ns for path in files.root.rglob("*")} == before
    with run_lock(files.lock):
        assert held_by(files.lock) == os.getpid()
        assert document()["state"] in ("running", "finished")
    assert held_by(files.lock) is None


def test_one_that_was_interrupted_says_where_and_how_to_go_on(files: Workspace) -> None:
    has_begun(files, stopped="interrupted by the operator")
    with (
        pytest.raises(KeyboardInterrupt),
        at_work(files) as tasks,
        tasks.task("load", "sales", 4_000, unit="items"),
    ):
        raise KeyboardInterrupt
    seen = document()
    assert (seen["state"], seen["exitCode"], seen["pid"]) == ("stopped", 130, None)
    assert seen["words"].startswith(f"Run {RUN} stopped in its first phase: interrupted by")
    assert seen["next"] == "python migrate.py --resume"
    assert [step["state"] for step in seen["steps"]] == ["stopped"]
    assert status().output.endswith("Next: python migrate.py --resume\n")


@pytest.mark.parametrize(
    ("phases", "options"),
    [
        (("verify",), "--phase verify"),
        (("extract", "transform", "validate", "verify"), "--phase verify --from-source"),
        (("load",), "--resume"),
    ],
)
def test_a_verification_by_hand_is_typed_again(
    files: Workspace, phases: tuple[str, ...], options: str
) -> None:
    has_begun(files)
    with pytest.raises(KeyboardInterrupt), at_work(files, "phase", phases):
        raise KeyboardInterrupt
    assert document()["next"] == f"python migrate.py {options}"


def test_a_reason_that_was_followed_by_a_list_ends_without_its_colon(files: Workspace) -> None:
    has_begun(files, "3 items differ; nothing was written:")
    assert document()["words"] == (
        f"Run {RUN} stopped in its first phase: 3 items differ; nothing was written"
    )


def test_one_that_was_killed_is_not_taken_for_one_at_work(files: Workspace) -> None:
    """Also when another process has got its number."""
    has_begun(files)
    killed = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from utils.files.workspace import Workspace\n"
        "from utils.run.lock import run_lock\n"
        "from utils.telemetry.command_events import command_told\n"
        "from utils.telemetry.events import EventStream\n"
        "from utils.telemetry.tasks import Tasks\n"
        f"files, tasks = Workspace(Path({str(files.root)!r})), Tasks(EventStream({RUN!r}))\n"
        "with run_lock(files.lock), command_told(files, tasks, 'full', phases=['load']):\n"
        "    with tasks.task('load', 'sales', 9) as task:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", killed], cwd=ROOT, check=False)
    assert done.returncode == -9
    seen = document()
    assert (seen["state"], seen["exitCode"]) == ("stopped", None)
    assert "it was killed" in seen["words"]
    assert [step["state"] for step in seen["steps"]] == ["stopped"]
    signed = files.lock.read_text()
    files.lock.write_text(signed.replace(signed.split()[1].strip(","), str(os.getpid())))
    assert document()["state"] == "stopped"


def test_one_that_has_ended_says_how(files: Workspace) -> None:
    with at_work(files) as tasks:
        tasks.conclude(ExitCode.VERIFICATION_FAILED, "a table\n\nThe target differs from S9.")
    seen = document()
    assert (seen["state"], seen["exitCode"]) == ("finished", 4)
    assert seen["sentence"] == "The target differs from S9."
    assert status().output.endswith("It has ended: The target differs from S9.\n")


@pytest.mark.parametrize(
    ("command", "again"),
    [("dry-run", "--dry-run"), ("demo", "demo"), ("backup", "backup"), ("full", "--full")],
)
def test_what_was_stopped_is_begun_again_in_its_own_way(
    command: str, again: str, files: Workspace
) -> None:
    with pytest.raises(MigrationError), at_work(files, command):
        raise MigrationError("no room on the disk", remedy="make room")
    seen = document("--config", "other.json", "--directory", "data")
    assert (seen["state"], seen["exitCode"]) == ("stopped", 1)
    assert "no room on the disk" in seen["words"]
    assert seen["next"] == f"python migrate.py --config other.json {again}"


def test_a_dry_run_that_foretells_a_failure_has_not_failed_itself(files: Workspace) -> None:
    with at_work(files, "dry-run") as tasks:
        tasks.conclude(ExitCode.USAGE, "Planned: nothing was written to the target. …")
    seen = document()
    assert (seen["state"], seen["exitCode"], seen["next"]) == ("finished", 2, "")


def test_the_rehearsal_inside_is_shown_while_it_is_what_is_going_on(files: Workspace) -> None:
    with at_work(files):
        pass
    inner = Workspace(files.dry_run)
    inner.prepare()
    with at_work(inner, "dry-run"):
        seen = document()
        assert (seen["command"], seen["directory"]) == ("dry-run", "data/dry-run")
    with at_work(files, "backup"):
        pass
    assert document()["command"] == "backup"


def test_no_configuration_is_needed_to_look_but_where_it_is(
    files: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that another terminal does not have, or a mistake elsewhere, keeps nobody."""
    with at_work(files):
        pass
    files.root.rename(tmp_path / "elsewhere")
    config = tmp_path / "config.json"
    config.write_text(
        '{"source": {"password": "${S9_PASSWORD}"}, "data": {"directory": "${WHERE}"}, "x": 1}'
    )
    failed = status()
    assert failed.exit_code == 2
    assert "data.directory: the environment variable WHERE is not set" in failed.output
    assert "--directory DIR" in failed.output
    assert document("--directory", "elsewhere")["state"] == "finished"
    monkeypatch.setenv("WHERE", "elsewhere")
    assert document()["state"] == "finished"
    missing = status("--directory", "nowhere")
    assert missing.exit_code == 2
    assert "there is no directory nowhere" in missing.output


def test_what_cannot_be_read_is_said(files: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    files.manifest.write_text("{")
    result = status()
    assert result.exit_code == 1
    assert "is damaged" in result.output
    files.manifest.unlink()

    def refused(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("utils.telemetry.event_file.EventReader.poll", refused)
    result = status()
    assert result.exit_code == 1
    assert "Permission denied" in result.output
    assert "What to do: " in result.output


def test_it_watches_until_the_end_and_then_says_it(
    files: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = at_work(files)
    tasks = command.__enter__()
    looks = 0

    def wait(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            tasks.conclude(ExitCode.DONE, "Done: every record arrived.")
            command.__exit__(None, None, None)

    monkeypatch.setattr("utils.cli.status_command.time.sleep", wait)
    shown = status("--watch", "--json")
    assert shown.exit_code == 0, shown.output
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line["state"] for line in lines] == ["running"] * 3 + ["finished"]


def test_ctrl_c_ends_the_watching_only(files: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("utils.cli.status_command.time.sleep", pressed)
    with at_work(files):
        assert status("--watch").exit_code == 0


def test_a_resumed_run_is_one_with_what_it_resumes(files: Workspace) -> None:
    with pytest.raises(MigrationError), at_work(files) as tasks:
        with tasks.task("extract", "sales", 10) as task:
            task.advance(10)
        with tasks.task("load", "sales", 100, unit="items") as task:
            task.advance(40, write_units=50.0)
            raise MigrationError("lost", remedy="try again")
    with at_work(files, "resume") as tasks:
        with tasks.task("load", "sales", 100, unit="items", done=40, write_units=50.0) as task:
            task.advance(60, write_units=75.0)
        watcher, seen = latest([(each, each.look(time.time())) for each in watchers(files.root)])
    assert [(step.phase, step.state, step.done) for step in seen.steps] == [
        ("extract", "done", 10),
        ("load", "done", 100),
    ]
    (load,) = [step for step in watcher.picture.steps if step.step.phase == "load"]
    assert load.spent.write_units == 125.0
    assert Watcher(files).look(time.time()).state == "finished"


def test_a_run_of_a_version_that_told_nothing_is_known_by_its_manifest(files: Workspace) -> None:
    manifest = has_begun(files)
    stopped = document()
    assert (stopped["state"], stopped["runId"], stopped["steps"]) == ("stopped", RUN, [])
    assert stopped["next"] == "python migrate.py --resume"
    manifest.outcome = ExitCode.QUARANTINED
    manifest.save(files.manifest)
    assert document()["exitCode"] == 5
    assert status().output.splitlines() == [
        f"Run {RUN} has ended in data, with exit code 5",
        "It has ended: exit code 5",
    ]
