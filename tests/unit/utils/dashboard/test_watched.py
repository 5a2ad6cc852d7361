"""What is kept of a run does not grow with its length, and loses nothing of its sums."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import orjson

from utils.dashboard.watched import LATEST, Directories, chosen
from utils.files.workspace import Workspace
from utils.telemetry.events import (
    Count,
    Event,
    Found,
    Progressed,
    RunBegun,
    Step,
    StepBegun,
    Throttled,
    Told,
)

_BEGAN = datetime(2026, 11, 27, tzinfo=timezone.utc)
_STEP = Step("load", "sales")


def line(number: int, event: Event) -> bytes:
    at = _BEGAN + timedelta(seconds=number)
    return orjson.dumps(Told("r", number, at, event).as_json()) + b"\n"


def test_a_long_run_is_kept_in_little(tmp_path: Path) -> None:
    times = 7_000
    events: list[Event] = [
        RunBegun(command="full"),
        StepBegun(step=_STEP, count=Count(total=times)),
    ]
    for done in range(1, times + 1):
        events.append(Progressed(step=_STEP, count=Count(done=done, total=times)))
        if not done % 2:
            events.append(Throttled(step=_STEP, by="T", reason="r", seconds=0.5))
            events.append(Found(step=_STEP, rule=f"rule {done % 5}", severity="error"))
    lines = (line(number, event) for number, event in enumerate(events, start=1))
    Workspace(tmp_path).events.write_bytes(b"".join(lines))
    seen = chosen(Directories(tmp_path).look(_BEGAN.timestamp()), LATEST)
    assert seen is not None
    history, found = seen.watched.history, seen.watched.discoveries
    assert len(history.advances) <= 2_000
    assert len(history.waits) <= 2_000
    assert len(found.latest) == 40
    assert sum(each.done for each in history.advances) == times
    assert sum(each.seconds for each in history.waits) == times / 4
    assert sum(found.by_rule().values()) == times / 2
    ends = [each.ended for each in history.advances]
    assert ends == sorted(ends)
