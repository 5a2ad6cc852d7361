"""Progress on the screen: a bar a phase and entity, or plain lines where there is no terminal.

[Extract] Buyers: ████ 100% (1250/1250) 00:01, 1,204/s, 0 errors
"""

from __future__ import annotations

import sys
import time
from typing import NoReturn, TextIO

from tqdm import tqdm

from utils.telemetry.events import Count, Progressed, Step, StepBegun, StepFinished, Told
from utils.wording.figures import counted
from utils.wording.terminal import canvas, printable

_BAR = "[{desc} {bar} {percentage:3.0f}% ({n_fmt}/{total_fmt}) {elapsed}{postfix}"
_PLAIN_EVERY = 10.0


class Progress:
    """Listens to the events of a command, and shows how far it is; one per command, because it
    knows whether and how to draw."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self._stream = stream or canvas(sys.stderr)
        self._bars = not quiet and self._stream.isatty()
        self._shown: dict[Step, _Shown] = {}

    def __call__(self, told: Told) -> None:
        """Draw what an event tells."""
        event = told.event
        if self._quiet or not isinstance(event, (StepBegun, Progressed, StepFinished)):
            return
        if event.step.name:  # a part of what has a bar
            return
        if isinstance(event, StepBegun):
            self._shown[event.step] = _Shown(event.step, event.count, self._stream, self._bars)
        elif isinstance(event, Progressed) and event.step in self._shown:
            self._shown[event.step].reaches(event.count)
        elif isinstance(event, StepFinished) and event.step in self._shown:
            self._shown.pop(event.step).ends(event.count)


class _Shown:
    """One step on the screen."""

    def __init__(self, step: Step, count: Count, stream: TextIO, bars: bool) -> None:
        self._title = printable(f"[{step.phase.capitalize()}] {step.entity[:1].upper()}")
        self._title += printable(step.entity[1:])
        self._count = count
        self._stream = stream
        self._start = time.monotonic()
        self._last_line = self._start
        self._bar = self._new_bar() if bars else None

    def _new_bar(self) -> tqdm[NoReturn]:
        return tqdm(
            total=self._count.total,
            initial=self._count.done,
            desc=f"{self._title[1:]}:",
            bar_format=_BAR,
            file=self._stream,
            dynamic_ncols=True,
            mininterval=0.1,
        )

    def reaches(self, count: Count) -> None:
        """So far it is now."""
        before, self._count = self._count, count
        if self._bar is not None:
            self._bar.set_postfix_str(self._rate(), refresh=False)
            self._bar.update(count.done - before.done)
        elif time.monotonic() - self._last_line > _PLAIN_EVERY:
            self._last_line = time.monotonic()
            self._say()

    def ends(self, count: Count) -> None:
        """It is over."""
        before, self._count = self._count, count
        if self._bar is not None:
            self._bar.set_postfix_str(self._rate(), refresh=False)
            self._bar.update(count.done - before.done)
            self._bar.refresh()
            self._bar.close()
        else:
            self._say()

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self._count.done / seconds:,.0f}/s, {counted(self._count.errors, 'error')}"

    def _say(self) -> None:
        done, total = self._count.done, self._count.total
        share = 100 if not total else 100 * done // total
        seconds = time.monotonic() - self._start
        line = f"{self._title}: {share}% ({done}/{total}) {seconds:.1f} s, {self._rate()}"
        print(line, file=self._stream, flush=True)
