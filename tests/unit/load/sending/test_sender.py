"""A sender: every line is sent once, in turn over the pieces, and a run on one partition waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from load.load_sales import TABLE
from load.sending import sender as module
from load.sending.file_lanes import Piece
from load.sending.sender import (
    Many,
    NoMore,
    Sender,
    SenderOrders,
    SenderReport,
    StopSending,
    WriteRate,
)
from load.writing.batch_writer import Outcome, RefusedItem
from utils.config import MigrationConfig, TargetConfig
from utils.error_handler import TargetError
from utils.files.line_marks import SAME, LineMarks
from utils.interrupt import Interrupted, StopFlag
from utils.processes.actors import unpacked

Write = Callable[[Sequence[bytes]], Outcome]


def line(sale: object, number: int = 0) -> bytes:
    keys = {"PK": {"S": f"SALE#{sale}"}, "SK": {"S": f"LINE#{number}"}}
    return orjson.dumps({"Item": {**keys, "legacyId": {"S": f"{sale}"}}}) + b"\n"


class Writer:
    """Takes batches as `write` does, and keeps them with the time; `waves` are how many were sent
    together."""

    def __init__(self, write: Write) -> None:
        self.batches: list[tuple[float, list[bytes]]] = []
        self.waves: list[int] = []
        self._write = write
        self.most = 1_000

    def at_once(self, lines: Sequence[bytes]) -> int:
        return min(len(lines), self.most)

    def write_all(self, batches: Sequence[Sequence[bytes]]) -> Iterator[Outcome]:
        self.waves.append(len(batches))
        for lines in batches:
            outcome = self._write(lines)
            self.batches.append((time.monotonic(), list(lines)))
            yield outcome


def taken(lines: Sequence[bytes]) -> Outcome:
    return Outcome(items=len(lines), batches=1)


class Desk:
    """A sender with a file before it."""

    def __init__(self, path: Path, pieces: Sequence[Sequence[bytes]], **more: object) -> None:
        self.writer = Writer(taken)
        self.reports: queue.SimpleQueue[SenderReport] = queue.SimpleQueue()
        self.pieces: list[Piece] = []
        place = 0
        for number, lines in enumerate(pieces):
            end = place + len(b"".join(lines))
            self.pieces.append(Piece(number, place, end))
            place = end
        path.write_bytes(b"".join(b"".join(lines) for lines in pieces))
        plan = path.with_suffix(".plan")
        LineMarks.create(plan, place)
        orders = SenderOrders(
            source=path,
            plan=plan,
            target=TargetConfig(),
            migration=MigrationConfig(batch_size=5),
            spec=TABLE,
            skipped=frozenset(),
            chosen=None,
            rate=None,
            in_flight=2,
        )
        self.orders = replace(orders, **more)  # type: ignore[arg-type]

    def start(self, monkeypatch: pytest.MonkeyPatch, write: Write = taken) -> Sender:
        self.writer = Writer(write)
        monkeypatch.setattr(module, "writer", lambda *_: self.writer)
        return Sender(self.orders, self.reports.put)

    def heard(self) -> Iterator[SenderReport]:
        """Everything that is said, to the end."""
        while True:
            report = self.reports.get(timeout=10)
            yield report
            if report.ended:
                return

    @property
    def sent(self) -> list[bytes]:
        return [each for _, lines in self.writer.batches for each in lines]


@pytest.fixture(autouse=True)
def one_batch_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 1)
    monkeypatch.setattr(module, "_MOST", 1)
    monkeypatch.setattr(module, "_TOGETHER", 1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    lines = [[line(f"{piece}-{n // 3}", n) for n in range(33)] for piece in range(4)]
    return Desk(tmp_path / "file", lines)


def work(desk: Desk, sender: Sender) -> list[SenderReport]:
    for piece in desk.pieces:
        sender.receive(piece)
    sender.receive(NoMore())
    reports = list(desk.heard())
    sender.close()
    return reports


def test_every_line_is_sent_once_and_acknowledged_in_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = work(desk, desk.start(monkeypatch))
    assert sorted(desk.sent) == sorted(desk.orders.source.read_bytes().splitlines(keepends=True))
    places = dict.fromkeys(range(4), 0)
    finished = []
    for part in (part for report in reports for part in report.acknowledged.values()):
        assert part.place == places[part.number]
        places[part.number] += part.size
        finished += [part.number] if part.finished else []
    assert places == {piece.number: piece.end - piece.start for piece in desk.pieces}
    assert sorted(finished) == [0, 1, 2, 3]
    items = [part.outcome.items for report in reports for part in report.acknowledged.values()]
    assert sum(items) == 4 * 33


def test_batches_are_taken_from_the_pieces_in_turn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.orders = replace(desk.orders, in_flight=1)
    held = threading.Event()
    sender = desk.start(monkeypatch, lambda lines: (held.wait(5), taken(lines))[1])
    for piece in desk.pieces:
        sender.receive(piece)
    held.set()
    sender.receive(NoMore())
    list(desk.heard())
    pieces = [lines[0].split(b"SALE#")[1][:1] for _, lines in desk.writer.batches]
    # Where the first piece stands depends on how many had come when its first batch was taken.
    assert sorted(pieces[1:5]) == [b"0", b"1", b"2", b"3"]
    assert pieces[5:9] == pieces[1:5]


def test_what_the_plan_says_is_there_is_not_sent_but_acknowledged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = desk.orders.source.read_bytes().splitlines(keepends=True)
    there = {*lines[:7], lines[40], lines[-1]}
    with LineMarks(desk.orders.plan) as plan:
        plan.mark_all(0, lines, [SAME if each in there else 0 for each in lines])
    reports = work(desk, desk.start(monkeypatch))
    assert sorted(desk.sent) == sorted(set(lines) - there)
    sizes = [part.size for report in reports for part in report.acknowledged.values()]
    assert sum(sizes) == len(b"".join(lines))


def test_only_chosen_records_are_sent_and_never_those_that_are_known_to_be_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = frozenset({"SALE#0-1", "SALE#2-2", "SALE#3-0"})
    desk.orders = replace(desk.orders, chosen=chosen, skipped=frozenset({"SALE#2-2"}))
    work(desk, desk.start(monkeypatch))
    assert {each.split(b'"')[7] for each in desk.sent} == {b"SALE#0-1", b"SALE#3-0"}


def test_after_a_refusal_the_rest_of_the_record_is_not_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = line("0-1", 4)

    def refuse(lines: Sequence[bytes]) -> Outcome:
        refused = [RefusedItem(bad.rstrip(b"\n"), "no")] if bad in lines else []
        return Outcome(items=len(lines) - len(refused), batches=1, refused=refused)

    desk.orders = replace(desk.orders, in_flight=1)
    reports = work(desk, desk.start(monkeypatch, refuse))
    parts = [part for report in reports for part in report.acknowledged.values()]
    assert [item.reason for part in parts for item in part.outcome.refused] == ["no"]
    assert line("0-1", 5) not in desk.sent
    assert line("0-2", 6) in desk.sent


def test_an_error_ends_the_work_and_what_is_behind_it_is_not_acknowledged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(lines: Sequence[bytes]) -> Outcome:
        if line("1-3", 10) in lines:
            raise TargetError("denied", remedy="grant")
        return taken(lines)

    reports = work(desk, desk.start(monkeypatch, deny))
    (failed,) = [report.failed for report in reports if report.failed]
    error = unpacked(failed)
    assert isinstance(error, TargetError)
    assert (error.message, error.remedy) == ("denied", "grant")
    acknowledged = [
        part for report in reports for part in report.acknowledged.values() if part.number == 1
    ]
    assert sum(part.size for part in acknowledged) <= 10 * len(line("1-0", 10))
    assert not any(part.finished for part in acknowledged)


def test_asked_to_stop_it_finishes_what_is_in_flight_and_begins_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, let_go = threading.Semaphore(0), threading.Event()

    def slow(lines: Sequence[bytes]) -> Outcome:
        asked.release()
        let_go.wait(5)
        return taken(lines)

    sender = desk.start(monkeypatch, slow)
    sender.receive(desk.pieces[0])
    asked.acquire()
    asked.acquire()
    sender.receive(StopSending())
    let_go.set()
    reports = list(desk.heard())
    assert len(desk.writer.batches) == 2
    items = [part.outcome.items for report in reports for part in report.acknowledged.values()]
    assert sum(items) == 10
    sent = sum(len(each) for each in desk.sent)
    assert [report.untried for report in reports if report.ended] == [{0: sent}]


def test_at_a_low_rate_what_is_sent_is_acknowledged_before_the_rest_of_its_batch(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = desk.orders.source.read_bytes().splitlines(keepends=True)
    there = {lines[1], lines[3], lines[4]}
    with LineMarks(desk.orders.plan) as plan:
        plan.mark_all(0, lines, [SAME if each in there else 0 for each in lines])
    desk.orders = replace(desk.orders, in_flight=1)

    def lost(batch: Sequence[bytes]) -> Outcome:
        if lines[8] in batch:
            raise Interrupted  # while it waited for its turn
        return taken(batch)

    sender = desk.start(monkeypatch, lost)
    desk.writer.most = 2
    sender.receive(desk.pieces[0])
    *_, last = reports = list(desk.heard())
    assert [len(sent) for _, sent in desk.writer.batches] == [2, 2]
    parts = [part for report in reports for part in report.acknowledged.values()]
    assert sum(part.size for part in parts) == len(b"".join(lines[:7]))
    assert sum(part.outcome.lines for part in parts) == 7
    assert last.untried == {0: len(b"".join(lines[:9]))}


def test_it_has_as_many_threads_as_it_is_told_and_the_last_says_that_it_ends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def watched(lines: Sequence[bytes]) -> Outcome:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.005)
        with lock:
            busy -= 1
        return taken(lines)

    sender = desk.start(monkeypatch, watched)
    sender.receive(Many(9))
    for piece in desk.pieces[:2]:
        sender.receive(piece)
    while sum(len(lines) for _, lines in desk.writer.batches) < 66:
        time.sleep(0.001)
    assert 2 < most <= 9
    sender.receive(Many(1))
    time.sleep(0.05)
    most = 0
    for piece in desk.pieces[2:]:
        sender.receive(piece)
    sender.receive(NoMore())
    reports = list(desk.heard())
    sender.receive(Many(5))  # too late
    sender.close()
    assert most == 1
    assert [report.ended for report in reports].count(True) == 1
    assert sorted(desk.sent) == sorted(desk.orders.source.read_bytes().splitlines(keepends=True))


def header(sale: object) -> bytes:
    return line(sale).replace(b"LINE#0", b"METADATA")


@pytest.mark.parametrize(
    ("in_flight", "more", "waves"),
    [
        (3, {}, [3, 3, 2, 2]),
        (1, {}, [1] * 10),
        (7, {}, [3, 3, 2, 2]),  # two threads, three at once each
        (3, {"rate": 1e9}, [1] * 10),
        (3, {"migration": MigrationConfig(batch_size=5, batch_delay=1)}, [1] * 10),
    ],
)
def test_what_is_taken_together_is_sent_some_at_a_time_what_opens_records_last(
    in_flight: int,
    more: dict[str, object],
    waves: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LEAST", 12)
    monkeypatch.setattr(module, "_MOST", 12)
    monkeypatch.setattr(module, "_TOGETHER", 3)
    lines = [each for n in range(10) for each in (header(n), *(line(n, k) for k in range(4)))]
    desk = Desk(tmp_path / "file", [lines], in_flight=in_flight, **more)
    work(desk, desk.start(monkeypatch))
    assert desk.writer.waves == waves
    opens = [b"METADATA" in batch[0] for _, batch in desk.writer.batches]
    assert opens == [False] * 8 + [True] * 2
    assert sorted(desk.sent) == sorted(lines)


def test_records_of_one_item_each_go_together_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST", 12)
    monkeypatch.setattr(module, "_MOST", 12)
    monkeypatch.setattr(module, "_TOGETHER", 3)
    desk = Desk(tmp_path / "file", [[header(n) for n in range(38)]], in_flight=3)
    work(desk, desk.start(monkeypatch))
    assert desk.writer.waves == [3, 3, 2]
    assert [len(batch) for _, batch in desk.writer.batches] == [5] * 7 + [3]


def test_a_rate_that_comes_makes_of_what_is_sent_together_one_thread_each(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOGETHER", 3)
    desk.orders = replace(desk.orders, in_flight=6)
    sender = desk.start(monkeypatch)
    assert (sender._wanted_threads, sender._together) == (2, 3)
    sender.receive(WriteRate(1e9))
    assert (sender._wanted_threads, sender._together) == (6, 1)
    sender.receive(WriteRate(None))
    assert (sender._wanted_threads, sender._together) == (2, 3)
    reports = work(desk, sender)
    assert sum(len(lines) for _, lines in desk.writer.batches) == 4 * 33
    assert [report.ended for report in reports].count(True) == 1


def test_what_goes_on_with_one_record_is_not_sent_together_with_what_is_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST", 12)
    monkeypatch.setattr(module, "_MOST", 12)
    monkeypatch.setattr(module, "_TOGETHER", 3)
    lines = [*(line("large", n) for n in range(25)), *(line(n) for n in range(15))]
    desk = Desk(tmp_path / "file", [lines], in_flight=3)
    rests: list[float] = []
    monkeypatch.setattr(StopFlag, "rest", lambda _self, seconds: rests.append(seconds))
    work(desk, desk.start(monkeypatch))
    assert desk.writer.waves == [1, 1, 1, 1, 3, 1]
    assert sum(rest > 0 for rest in rests) == 4


def test_after_a_batch_a_sender_rests_and_not_within_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(StopFlag, "rest", lambda _self, seconds: rests.append(seconds))
    desk.orders = replace(desk.orders, migration=MigrationConfig(batch_size=5, batch_delay=20))
    sender = desk.start(monkeypatch)
    desk.writer.most = 2
    work(desk, sender)
    assert rests == [0.02] * 4 * 7


def test_what_was_tried_in_vain_is_not_untried(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.orders = replace(desk.orders, in_flight=1)
    lines = desk.orders.source.read_bytes().splitlines(keepends=True)

    def lost(batch: Sequence[bytes]) -> Outcome:
        if lines[5] in batch:
            raise Interrupted  # while it waited to try again
        return taken(batch)

    sender = desk.start(monkeypatch, lost)
    sender.receive(desk.pieces[0])
    *_, last = reports = list(desk.heard())
    acknowledged = [part.size for report in reports for part in report.acknowledged.values()]
    assert sum(acknowledged) == len(b"".join(lines[:5]))
    assert last.untried == {0: len(b"".join(lines[:10]))}


def test_a_record_of_many_lines_keeps_to_what_one_partition_takes_and_others_pass_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARTITION_UNITS", 100.0)
    large = [line("large", n) for n in range(60)]
    others = [line(n) for n in range(100)]
    desk = Desk(tmp_path / "file", [large, others])
    work(desk, desk.start(monkeypatch))
    assert len(desk.sent) == 160
    times = [at for at, lines in desk.writer.batches if lines[0] in large]
    assert len(times) == 12
    assert times[-1] - times[1] >= 10 * 5 / 100 * 0.9  # five units a batch, 100 units a second
    last = max(at for at, lines in desk.writer.batches if lines[0] in others)
    assert last < times[-1]
