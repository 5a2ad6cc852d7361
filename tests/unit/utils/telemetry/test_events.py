"""The stream of events: what is emitted is told to everyone, numbered, in order."""

from __future__ import annotations

import threading

from utils.telemetry.events import (
    KINDS,
    CheckpointSaved,
    Count,
    EventStream,
    Progressed,
    Step,
    StepBegun,
    Told,
)

LOAD = Step("load", "sales")


def test_every_listener_gets_every_event_in_order() -> None:
    stream, first, second = EventStream("a1b2c3d4", after=7), list[Told](), list[Told]()
    stream.listen(first.append)
    stream.listen(second.append)
    stream.emit(StepBegun(step=LOAD, count=Count(total=10, unit="items")))
    stream.emit(CheckpointSaved(step=LOAD, done=3))
    assert first == second
    assert [(told.number, told.event.kind()) for told in first] == [
        (8, "step-begun"),
        (9, "checkpoint-saved"),
    ]


def test_a_line_has_the_fields_of_step_and_count_side_by_side() -> None:
    told = list[Told]()
    stream = EventStream("a1b2c3d4")
    stream.listen(told.append)
    count = Count(done=5, total=10, unit="items", write_units=7.5)
    stream.emit(Progressed(step=Step("verify", "sales", "comparing"), count=count, in_flight=4))
    line = told[0].as_json()
    assert line.pop("at").endswith("Z")
    assert line == {
        "run": "a1b2c3d4",
        "number": 1,
        "event": "progressed",
        "phase": "verify",
        "entity": "sales",
        "step": "comparing",
        "done": 5,
        "total": 10,
        "unit": "items",
        "errors": 0,
        "writeUnits": 7.5,
        "readUnits": 0.0,
        "bytes": 0,
        "inFlight": 4,
    }


def test_threads_do_not_share_a_number() -> None:
    told = list[Told]()
    stream = EventStream("a1b2c3d4")
    stream.listen(told.append)

    def emit_many() -> None:
        for done in range(500):
            stream.emit(CheckpointSaved(step=LOAD, done=done))

    threads = [threading.Thread(target=emit_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.number for each in told] == list(range(1, 2001))


def test_kinds_have_names_of_their_own() -> None:
    names = [kind.kind() for kind in KINDS]
    assert len({*names}) == len(names)
