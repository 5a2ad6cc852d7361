"""What the screen shows of a command: bars and colours in whatever width, plain lines by the
clock, one line for each step, and never an end to the work."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import pytest

from tests.support.fleet.events import fleet_at_work
from utils import progress as displaying
from utils.progress import Display
from utils.telemetry.events import (
    Count,
    Event,
    FleetGone,
    Followed,
    Progressed,
    Retried,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    TableState,
    Throttled,
    Told,
)
from utils.wording.terminal import bottom

SALES = Step("load", "sales")
COMPARING = Step("verify", "sales", "comparing")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A terminal; `closed_for` is what a write raises."""

    encoding = "utf-8"
    fails = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.fails:
            raise TypeError("a defect")
        return super().write(text)


@dataclass
class Watched:
    """A display on a stream, and the clock by which everything happens."""

    stream: io.StringIO
    color: bool = False
    now: float = 1_000.0
    number: int = 0
    display: Display = field(init=False)

    def __post_init__(self) -> None:
        self.display = Display(color=self.color, stream=self.stream, clock=lambda: self.now)

    def tell(self, event: Event, after: float = 0.0) -> None:
        self.now += after
        self.number += 1
        at = datetime.fromtimestamp(self.now, timezone.utc)
        self.display(Told("7f3a", self.number, at, event))

    def wait(self, seconds: float) -> None:
        """Let time pass as the thread does: with a look every half a second."""
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            self.display.beat()

    def advance(self, seconds: int, a_second: int, total: int) -> None:
        """Begin the load of the sales, and get on with it for so long."""
        self.tell(StepBegun(step=SALES, count=Count(total=total, unit="items")))
        for second in range(1, seconds + 1):
            count = Count(done=second * a_second, total=total, unit="items")
            self.tell(Progressed(step=SALES, count=count), after=1.0)

    @property
    def shown(self) -> str:
        """The line at the bottom as it is now, without colours."""
        return _COLOUR.sub("", self.stream.getvalue().rsplit("\r", 1)[-1]).rstrip()

    @property
    def stays(self) -> list[str]:
        """The lines that stay, without colours and what was drawn over."""
        lines = self.stream.getvalue().split("\n")[:-1]
        return [_COLOUR.sub("", line).rsplit("\r", 1)[-1] for line in lines]


@pytest.fixture(autouse=True)
def _nothing_is_drawn() -> Iterator[None]:
    yield
    bottom.begins_a_line()
    bottom.draw(io.StringIO(), "", 0)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A terminal of 140 columns."""
    monkeypatch.setattr(displaying, "columns_of", lambda _: 140)
    return Watched(Terminal())


def test_a_bar_has_share_counts_time_passed_time_left_rate_and_errors(wide: Watched) -> None:
    wide.advance(30, 100, 12_000)
    wide.wait(0.5)
    assert re.fullmatch(
        r"\[Load\] Sales: █+\S* +25% \(3,000/12,000\) "
        r"00:30, 01:29 left, 100 items/s, 0 errors",
        wide.shown,
    )


def test_what_throttles_and_what_is_tried_again_is_said_while_it_is_news(wide: Watched) -> None:
    wide.advance(5, 100, 12_000)
    event = Throttled(step=SALES, by="GSI4-QueryByDate", reason="busy", times=3, seconds=1.4)
    wide.tell(event, after=0.2)
    wide.tell(Throttled(step=SALES, by="GSI4-QueryByDate", reason="busy", seconds=0.7), after=0.2)
    wide.tell(Retried(step=SALES, reason="connection lost", times=2), after=0.2)
    wide.wait(0.5)
    assert wide.shown.endswith("2 retries, throttled by GSI4-QueryByDate, 2.1 s")
    wide.wait(6)
    assert wide.shown.endswith("0 errors, 2 retries")
    wide.tell(
        StepFinished(
            step=SALES,
            count=Count(done=12_000, total=12_000, unit="items", errors=1),
            outcome="done",
            seconds=12.5,
            retries={"connection lost": 2},
        )
    )
    assert wide.stays[-1].endswith(
        "100% (12,000/12,000) 00:12, 960 items/s, 1 error, 2 retries, "
        "throttled by GSI4-QueryByDate, 2.1 s"
    )


@pytest.mark.parametrize("columns", [200, 120, 80, 60, 40, 20])
def test_in_every_width_the_line_fits_and_the_most_important_is_there(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(displaying, "columns_of", lambda _: columns)
    narrow = Watched(Terminal(), color=True)
    narrow.advance(30, 100, 12_000)
    narrow.tell(Throttled(step=SALES, by="GSI4-QueryByDate", reason="busy", seconds=2.1))
    narrow.wait(0.5)
    assert len(narrow.shown) < columns
    assert narrow.shown.startswith("[Load] Sales: "[: columns - 1])
    if columns >= 40:
        assert " 25%" in narrow.shown
        assert "left" in narrow.shown
    if columns >= 80:
        assert "throttled by GSI4-QueryByDate, 2.1 s" in narrow.shown
    if columns >= 120:
        assert "25% (3,000/12,000)" in narrow.shown


def test_the_bar_follows_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = 140
    monkeypatch.setattr(displaying, "columns_of", lambda _: columns)
    terminal = Watched(Terminal())
    terminal.advance(30, 100, 12_000)
    terminal.wait(0.5)
    before = len(terminal.shown)
    columns = 90
    terminal.wait(0.5)
    assert len(terminal.shown) < 90 < before


@pytest.mark.parametrize(
    ("event", "colour"),
    [
        (StepFinished(step=SALES, count=Count(done=9, total=9), outcome="done", seconds=1), "32"),
        (
            StepFinished(
                step=SALES, count=Count(done=9, total=9, errors=1), outcome="done", seconds=1
            ),
            "33",
        ),
        (StepFinished(step=SALES, count=Count(done=1, total=9), outcome="failed", seconds=1), "31"),
        (Progressed(step=SALES, count=Count(done=1, total=9)), "36"),
        (Throttled(step=SALES, by="SalesTable", reason="busy"), "33"),
    ],
)
def test_a_bar_has_the_colour_of_how_it_goes(
    event: Event, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(displaying, "columns_of", lambda _: 140)
    for color in (True, False):
        terminal = Watched(Terminal(), color=color)
        terminal.tell(StepBegun(step=SALES, count=Count(total=9)))
        terminal.tell(event, after=1.0)
        terminal.wait(0.5)
        drawn = terminal.stream.getvalue().rsplit("[Load] Sales: ", 1)[-1]
        assert drawn.startswith(f"\x1b[{colour}m") is color
        assert ("\x1b" in terminal.stream.getvalue()) is color


def test_a_part_has_a_bar_when_it_takes_over_a_second_and_a_line_that_stays(wide: Watched) -> None:
    wide.tell(StepBegun(step=COMPARING, count=Count(total=40, unit="items")))
    wide.wait(0.5)
    assert wide.shown == ""
    wide.wait(1)
    assert wide.shown.startswith("[Verify] Sales, comparing:")
    done = Count(done=40, total=40, unit="items")
    wide.tell(StepFinished(step=COMPARING, count=done, outcome="done", seconds=1.5))
    assert [line.partition(":")[0] for line in wide.stays] == ["[Verify] Sales, comparing"]
    short = Step("verify", "sales", "indexes")
    wide.tell(StepBegun(step=short, count=Count()))
    wide.tell(StepFinished(step=short, count=Count(), outcome="done", seconds=0.2), after=0.2)
    assert len(wide.stays) == 1


def test_what_is_waited_for_is_said(wide: Watched) -> None:
    waiting = Step("load", "", "waiting for tables")
    wide.tell(StepBegun(step=waiting, count=Count(total=3, unit="tables")))
    wide.tell(TableState(table="SalesTable", state="CREATING"))
    wide.tell(TableState(table="SalesTable", index="GSI1", state="CREATING"))
    wide.tell(TableState(table="BuyersTable", state="ACTIVE"))
    wide.wait(2)
    assert "[Load] Waiting for tables:   0% (0/3)" in re.sub(" +", " ", wide.shown).replace(
        ": 0%", ":   0%"
    )
    assert wide.shown.endswith("SalesTable is CREATING, SalesTable/GSI1 is CREATING")


def test_machines_that_share_the_work_are_told_while_they_are_there(wide: Watched) -> None:
    wide.advance(4, 100, 12_000)
    assert "task" not in wide.shown
    there = fleet_at_work(SALES, ended=3)
    wide.tell(there, after=1.0)
    wide.wait(0.5)
    assert wide.shown.endswith("0 errors, 12 tasks on 2 machines")
    wide.tell(replace(there, machines=1, tasks=7, lost=5), after=1.0)
    wide.wait(0.5)
    assert wide.shown.endswith("0 errors, 7 tasks on 1 machine, 5 tasks lost")
    wide.tell(FleetGone(step=SALES), after=1.0)
    wide.wait(0.5)
    assert wide.shown.endswith("0 errors")


def test_where_there_is_no_terminal_a_line_comes_by_the_clock() -> None:
    """Also when nobody tells anything, and when no step is at work: never ten seconds of
    silence."""
    pipe = Watched(io.StringIO())
    pipe.tell(StepBegun(step=SALES, count=Count(total=1_000, unit="items")))
    pipe.tell(Progressed(step=SALES, count=Count(done=100, total=1_000, unit="items")), after=2)
    silence, said = 0.0, 0
    for _ in range(120):
        pipe.wait(0.5)
        lines = pipe.stream.getvalue().count("\n")
        silence = 0.0 if lines > said else silence + 0.5
        said = lines
        assert silence < 10
    assert pipe.stays[0].startswith("[Load] Sales: 10% (100/1,000) ")
    assert pipe.stays[-1].endswith("s, 0 items/s, 0 errors, nothing new for 52 s")
    assert "\r" not in pipe.stream.getvalue()
    pipe.tell(StepFinished(step=SALES, count=Count(done=1), outcome="failed", seconds=62))
    pipe.wait(30)
    assert re.fullmatch(r"\[Load\] at work, 2\d s without news", pipe.stays[-1])
    pipe.tell(RunFinished(exit_code=0, sentence="Done.", seconds=92))
    before = pipe.stream.getvalue()
    pipe.wait(30)
    assert pipe.stream.getvalue() == before


def test_who_has_nothing_to_do_is_not_spoken_of() -> None:
    """Who follows S9's log may have nothing to do for hours."""
    pipe = Watched(io.StringIO())
    pipe.tell(StepBegun(step=SALES, count=Count()))
    pipe.tell(StepFinished(step=SALES, count=Count(done=1), outcome="done", seconds=1))
    pipe.tell(Followed(lag=1.5, oldest=0.0, retained=4096))
    before = pipe.stream.getvalue()
    pipe.wait(600)
    assert pipe.stream.getvalue() == before
    pipe.tell(Followed(lag=1.5, oldest=0.4, retained=4096))  # a pass begins
    pipe.wait(30)
    assert "at work, " in pipe.stays[-1]


def test_nothing_is_drawn_over_a_question(wide: Watched) -> None:
    wide.tell(StepBegun(step=SALES, count=Count(total=9)))
    with bottom.above("Undo the load? [y/N]: "):
        wide.stream.write("Undo the load? [y/N]: ")
    before = wide.stream.getvalue()
    wide.wait(20)
    assert wide.stream.getvalue() == before
    wide.tell(StepBegun(step=COMPARING, count=Count(total=9)))
    wide.wait(2)
    assert wide.shown.startswith("[Verify] Sales, comparing:")


def test_what_goes_wrong_in_drawing_ends_the_display_and_nothing_else(
    wide: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(wide.stream, Terminal)
    wide.stream.fails = True
    wide.advance(3, 100, 12_000)
    wide.stream.fails = False
    wide.advance(3, 100, 12_000)
    assert wide.stream.getvalue() == ""


def test_a_terminal_that_can_do_nothing_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    dumb = Watched(Terminal(), color=True)
    dumb.advance(3, 100, 300)
    dumb.wait(10)
    assert "\r" not in dumb.stream.getvalue()
    assert "\x1b" not in dumb.stream.getvalue()
    assert dumb.stays


def test_a_step_without_figures_shows_how_long_it_takes(wide: Watched) -> None:
    wide.tell(StepBegun(step=Step("extract", "", "connecting"), count=Count(total=None)))
    wide.wait(15)
    assert wide.shown == "[Extract] Connecting: 00:15"


def test_before_anything_is_told_there_is_nothing_to_say(wide: Watched) -> None:
    wide.wait(5)
    assert wide.stream.getvalue() == ""
