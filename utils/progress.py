"""Progress on the screen: a bar a phase and entity, or plain lines where there is no terminal.

[Extract] Buyers: ████ 100% (1250/1250) 00:01, 1,204/s, 0 errors
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import NoReturn, TextIO

from tqdm import tqdm

from utils.wording.figures import counted
from utils.wording.terminal import canvas, printable

_BAR = "[{desc} {bar} {percentage:3.0f}% ({n_fmt}/{total_fmt}) {elapsed}{postfix}"
_PLAIN_EVERY = 10.0


class Task:
    """One phase working through one entity; `total` is in records or items."""

    def __init__(self, phase: str, entity: str, total: int, *, stream: TextIO, bars: bool) -> None:
        self._title = printable(f"[{phase.capitalize()}] {entity[:1].upper()}{entity[1:]}")
        self._total = total
        self._stream = stream
        self._done = 0
        self._errors = 0
        self._start = time.monotonic()
        self._last_line = self._start
        self._bar = self._new_bar() if bars else None

    def _new_bar(self) -> tqdm[NoReturn]:
        return tqdm(
            total=self._total,
            desc=f"{self._title[1:]}:",
            bar_format=_BAR,
            file=self._stream,
            dynamic_ncols=True,
            mininterval=0.1,
        )

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._rate(), refresh=True)
            self._bar.close()
        elif self._stream is not _SILENT:
            self._say()

    def advance(self, count: int = 1, *, errors: int = 0) -> None:
        """`count` more are done, `errors` of them refused."""
        self._done += count
        self._errors += errors
        if self._bar is not None:
            self._bar.set_postfix_str(self._rate(), refresh=False)
            self._bar.update(count)
        elif self._stream is not _SILENT and time.monotonic() - self._last_line > _PLAIN_EVERY:
            self._last_line = time.monotonic()
            self._say()

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self._done / seconds:,.0f}/s, {counted(self._errors, 'error')}"

    def _say(self) -> None:
        share = 100 if not self._total else 100 * self._done // self._total
        seconds = time.monotonic() - self._start
        line = (
            f"{self._title}: {share}% ({self._done}/{self._total}) {seconds:.1f} s, {self._rate()}"
        )
        print(line, file=self._stream, flush=True)


class _Silence:
    """Where the lines of a silent progress go."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return


_SILENT: TextIO = _Silence()  # type: ignore[assignment]


class Progress:
    """Opens tasks; one per run, because it knows whether and how to draw."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = _SILENT if quiet else stream or canvas(sys.stderr)
        self._bars = not quiet and self._stream.isatty()

    def task(self, phase: str, entity: str, total: int) -> Task:
        """Start showing a phase's way through an entity of `total` records or items."""
        return Task(phase, entity, total, stream=self._stream, bars=self._bars)
