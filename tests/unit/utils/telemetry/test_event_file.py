"""data/events.jsonl: small however long a run takes, whole whatever happens to it, and of no
consequence for who writes it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import orjson
import pytest

from tests.support.fleet.events import fleet_at_work
from utils.error_handler import StorageError
from utils.telemetry.event_file import EventFile, EventReader, read_events
from utils.telemetry.events import (
    KINDS,
    Count,
    Event,
    EventStream,
    FleetAtWork,
    Found,
    Progressed,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    TableState,
    Throttled,
    Told,
)

LOAD = Step("load", "sales")
BEGUN = RunBegun(command="full", phases=("extract", "load"), entities=("sales",), pid=7)
FINISHED = RunFinished(exit_code=0, sentence="Done", seconds=2.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Command:
    """A command at work on a file; a second goes by with every event."""

    def __init__(self, path: Path, run: str = "a1b2c3d4", most: int = 4 << 20) -> None:
        self.clock = Clock()
        self.file = EventFile(path, most=most, clock=self.clock)
        self.stream = EventStream(run, after=self.file.last)
        self.stream.listen(self.file)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.clock.now += 1.0
            self.stream.emit(event)

    def work(self, step: Step, times: int) -> None:
        """A step with a lot to tell."""
        total = Count(total=times, unit="items")
        self.tell(StepBegun(step=step, count=total))
        for done in range(times):
            self.tell(
                Progressed(step=step, count=Count(done=done, total=times, unit="items")),
                Throttled(step=step, by="Sales", reason="slow", times=2, seconds=0.25),
                Found(step=step, rule=f"rule-{done % 7}", severity="warning", key=str(done)),
            )
        self.tell(StepFinished(step=step, count=total, outcome="done", seconds=1.5))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def an_event_of(kind: type[Event]) -> Event:
    every = {
        "step": LOAD,
        "count": Count(done=3, total=9, write_units=1.5),
        "command": "full",
        "phases": ("extract",),
        "by": "Sales/index/GSI4",
        "reason": "slow",
        "rule": "vat",
        "severity": "error",
        "done": 3,
        "table": "Sales",
        "state": "ACTIVE",
        "outcome": "done",
        "seconds": 2.5,
        "retries": {"slow": 2},
        "exit_code": 5,
        "sentence": "Done",
        "lag": 1.5,
        "oldest": 0.5,
        "retained": 4096,
        "software": "Spark 4.1.4",
        "master": "spark://head:7077",
        "machines": 2,
        "executors": 4,
        "cores": 16,
        "tasks": 12,
        "ended": 5,
        "lost": 1,
    }
    return kind(**{n: v for n, v in every.items() if n in kind.__dataclass_fields__})


def test_what_is_told_is_read_back(path: Path) -> None:
    command, told = Command(path), list[Told]()
    command.stream.listen(told.append)
    command.tell(*(an_event_of(kind) for kind in KINDS))
    assert [each.event for each in read_events(path)] == [each.event for each in told]
    assert [each.number for each in read_events(path)] == [*range(1, len(KINDS) + 1)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_means_no_events(path: Path) -> None:
    assert read_events(path) == []


def test_progress_of_a_step_is_written_once_a_second(path: Path) -> None:
    command = Command(path)
    for done in range(100):
        command.clock.now += 0.125
        for step in (LOAD, Step("load", "sales", "waiting")):
            command.stream.emit(Progressed(step=step, count=Count(done=done)))
    of_load = [told for told in read_events(path) if told.event.step == LOAD]  # type: ignore[attr-defined]
    assert 12 <= len(of_load) <= 13
    assert len(read_events(path)) == 2 * len(of_load)


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_line_is_skipped_and_the_next_one_is_whole(path: Path, cut: int) -> None:
    first = Command(path)
    first.tell(BEGUN, StepBegun(step=LOAD, count=Count()), TableState(table="Sales", state="X"))
    os.truncate(path, path.stat().st_size - cut)
    second = Command(path)
    second.tell(BEGUN, FINISHED)
    read = read_events(path)
    torn = cut > 1  # without its line break only, the line is whole
    assert [told.event.kind() for told in read] == [
        "run-begun",
        "step-begun",
        *([] if torn else ["table-state"]),
        "run-begun",
        "run-finished",
    ]
    numbers = [told.number for told in read]
    assert numbers == sorted({*numbers})


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'{"event":"invented-later","run":"a","number":3,"at":"2026-11-27T00:00:00.000Z"}',
        b'{"event":"run-finished","run":"a","number":3,"at":"2026-11-27T00:00:00.000Z"}',
        b'{"event":"run-finished","run":"a","number":3,"at":"now","exitCode":0,"sentence":"",'
        b'"seconds":1}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_of_this_version_is_left_out(path: Path, line: bytes) -> None:
    command = Command(path)
    command.tell(BEGUN)
    with path.open("ab") as handle:
        handle.write(line + b"\n")
    command.tell(FINISHED)
    assert [told.event for told in read_events(path)] == [BEGUN, FINISHED]


def test_a_field_of_a_later_version_is_passed_over(path: Path) -> None:
    command = Command(path)
    command.tell(FINISHED)
    line = {**orjson.loads(path.read_bytes()), "invented": {"later": 1}}
    path.write_bytes(orjson.dumps(line) + b"\n")
    assert [told.event for told in read_events(path)] == [FINISHED]


def test_a_full_disk_costs_lines_and_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = Command(path)
    command.tell(BEGUN)
    with Path("/dev/full").open("wb", buffering=0) as full:
        handle, command.file._handle = command.file._handle, full
        command.tell(FINISHED, FINISHED)
    command.file._handle = handle
    command.tell(FINISHED)
    assert [told.number for told in read_events(path)] == [1, 4]
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1


@pytest.mark.parametrize("times", [3_000])
def test_the_file_stays_small_and_loses_no_count(path: Path, times: int) -> None:
    most = 100_000
    command = Command(path, most=most)
    biggest = 0
    command.tell(BEGUN)
    steps = [Step("load", name) for name in ("buyers", "sales")]
    for step in steps:
        command.work(step, times)
        biggest = max(biggest, path.stat().st_size)
    command.tell(FINISHED)
    assert biggest <= most + 1_000
    read = [told.event for told in read_events(path)]
    assert read[0] == BEGUN
    assert read[-1] == FINISHED
    for step in steps:
        mine = [event for event in read if getattr(event, "step", None) == step]
        assert sum(isinstance(event, StepBegun) for event in mine) == 1
        assert sum(isinstance(event, StepFinished) for event in mine) == 1
        assert sum(each.times for each in mine if isinstance(each, Throttled)) == 2 * times
        assert sum(each.seconds for each in mine if isinstance(each, Throttled)) == times / 4
        assert sum(each.times for each in mine if isinstance(each, Found)) == times
        assert sum(isinstance(event, Progressed) for event in mine) >= 20


def test_what_is_in_the_place_of_the_file_ends_no_run(path: Path) -> None:
    path.symlink_to("/dev/full")
    Command(path).tell(BEGUN, FINISHED)
    with pytest.raises(StorageError, match="a symbolic link"):
        read_events(path)


def test_the_oldest_commands_go_and_the_last_one_stays(path: Path) -> None:
    most = 20_000
    for number in range(60):
        command = Command(path, run=f"{number // 10:08d}", most=most)
        command.tell(BEGUN)
        for step in ("extract", "load"):
            command.work(Step(step, "sales"), 5)
        command.tell(FINISHED)
    assert path.stat().st_size <= most + 1_000
    read = read_events(path)
    assert [told.event for told in read][-1] == FINISHED
    kinds = [told.event.kind() for told in read if told.run == read[-1].run]
    assert kinds.count("run-begun") == kinds.count("run-finished") >= 2
    numbers = [told.number for told in read]
    assert numbers == sorted({*numbers})


def test_another_process_follows_what_is_written_and_what_is_shortened(path: Path) -> None:
    reader, seen = EventReader(path), list[Told]()
    command, told = Command(path, most=20_000), list[Told]()
    command.stream.listen(told.append)
    command.tell(BEGUN)
    for done in range(400):
        command.tell(Progressed(step=LOAD, count=Count(done=done, total=400)))
        seen += reader.poll()
    command.tell(FINISHED)
    seen += reader.poll()
    assert [each.number for each in seen] == [each.number for each in told]
    assert list(reader.poll()) == []


def test_a_reader_notices_that_the_file_is_another(path: Path) -> None:
    reader = EventReader(path)
    Command(path).tell(BEGUN, FINISHED)
    assert len(list(reader.poll())) == 2
    path.unlink()
    assert list(reader.poll()) == []
    Command(path).tell(BEGUN)
    assert [told.event for told in reader.poll()] == [BEGUN]


def test_what_became_of_the_tasks_of_a_fleet_is_summed_when_the_file_is_shortened(
    path: Path,
) -> None:
    command = Command(path, most=20_000)
    command.tell(BEGUN)
    step = Step("load", "sales")
    there = fleet_at_work(step, executors=2, cores=4, tasks=4, ended=2, lost=1)
    for _ in range(1_000):
        command.tell(there)
    command.tell(FINISHED)
    assert path.stat().st_size <= 21_000
    read = [event for told in read_events(path) if isinstance(event := told.event, FleetAtWork)]
    assert len(read) < 200
    assert (sum(each.ended for each in read), sum(each.lost for each in read)) == (2_000, 1_000)
    assert (read[-1].machines, read[-1].tasks) == (2, 4)
