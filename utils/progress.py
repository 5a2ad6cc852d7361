"""The screen of a command at work: a bar for what is going on, or plain lines by the clock where
there is no terminal; and a line that stays for each step that is over.

It listens to the events (utils/telemetry/events.py), and a thread of its own looks at the clock:
nothing is silent for long, whoever waits for what. Neither can end the work or hold it up: what
goes wrong here ends the display, and says so in the log.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from utils.logger import get_logger
from utils.telemetry.events import StepBegun, StepFinished, Told
from utils.telemetry.picture import Picture, StepPicture
from utils.telemetry.step_lines import Looks, bar_line, plain_line, waits_for
from utils.telemetry.tasks import Tasks
from utils.wording.figures import lasting
from utils.wording.terminal import bottom, canvas, columns_of, ground, has_blocks, printable

_BEAT = 0.5  # seconds between two looks at the clock
_REDRAW = 0.1  # seconds between two bars that are drawn because something has been told
_SILENT = 9.0  # seconds after which a plain line says how it is: ten must not pass


class Display:
    """Shows how far a command is; one per command. As a context it looks at the clock, too. Lines
    of steps that are over stay if it `keeps` them."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        color: bool = True,
        keeps: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        stream = stream or sys.stderr
        self._is_off = quiet
        self._keeps = keeps
        self._canvas, self._ground = canvas(stream), ground(stream)
        self._has_bars = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._color = color
        self._unicode = has_blocks(stream)
        self._clock = clock
        self._picture = Picture(last=clock())
        self._lock = threading.RLock()
        self._said = self._drawn = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="display", daemon=True)

    def __call__(self, told: Told) -> None:
        """Show what an event tells."""
        self._safely(lambda: self._take(told))

    def __enter__(self) -> Display:
        if not self._is_off:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_BEAT)
        self._safely(bottom.wipe)
        self._is_off = True

    def beat(self) -> None:
        """Show how it is by now, if it is time."""
        self._safely(self._look)

    def _keep_looking(self) -> None:
        while not self._over.wait(_BEAT):
            self.beat()

    def _safely(self, work: Callable[[], None]) -> None:
        """One at a time; and what goes wrong here goes no further."""
        with self._lock:
            if self._is_off:
                return
            try:
                work()
            except Exception as error:
                self._is_off = True
                get_logger().warning(
                    "The display has failed (%s): the work goes on without it", type(error).__name__
                )

    def _take(self, told: Told) -> None:
        step = self._picture.take(told)
        if isinstance(told.event, StepBegun):
            bottom.begins_a_line()
        if isinstance(told.event, StepFinished):
            if step and self._keeps and step.is_worth_a_line(self._clock()):
                self._say(self._line(step, ""))
        elif self._has_bars and self._clock() - self._drawn >= _REDRAW:
            self._draw()

    def _look(self) -> None:
        if self._picture.finished:
            return
        if self._has_bars:
            self._draw()
        elif self._clock() - self._said >= _SILENT:
            self._say(self._now())

    def _draw(self) -> None:
        """Draw what is going on at the bottom of the terminal."""
        if self._picture.finished:
            return
        self._drawn = self._clock()
        text, width = self._now()
        if text:
            bottom.draw(self._ground, text, width)

    def _now(self) -> tuple[str, int]:
        """A line that says what is going on, and its width."""
        now = self._clock()
        for step in self._picture.running():
            if step.is_worth_a_line(now):
                return self._line(step, waits_for(self._picture))
        if self._picture.rests:
            return "", 0
        silent = now - self._picture.last
        text = f"{_phase(self._picture)} at work, {lasting(silent)} without news"
        return (text, len(text)) if silent >= _SILENT else ("", 0)

    def _line(self, step: StepPicture, waiting: str) -> tuple[str, int]:
        now = self._clock()
        if not self._has_bars:
            return plain_line(step, now, waiting, self._picture.fleet), 0
        looks = Looks(columns_of(self._ground), self._color, self._unicode)
        return bar_line(step, now, looks, waiting, self._picture.fleet)

    def _say(self, line: tuple[str, int]) -> None:
        """Write a line that stays."""
        self._said = self._clock()
        if line[0]:
            self._canvas.write(f"{line[0]}\n")
            self._canvas.flush()


@contextmanager
def displayed(*, quiet: bool = False, color: bool = True) -> Iterator[Tasks]:
    """Tasks whose steps are shown while they go on, for a command that is neither a run nor a
    session."""
    tasks = Tasks()
    with Display(quiet=quiet, color=color, keeps=False) as display:
        tasks.events.listen(display)
        yield tasks


def _phase(picture: Picture) -> str:
    """The phase that was at work last, as the lines of its steps begin."""
    word = picture.steps[-1].step.phase if picture.steps else picture.command
    return f"[{printable(word[:1].upper() + word[1:])}]"
