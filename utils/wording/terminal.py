"""The screen: what comes from outside is made printable before it gets there, and a screen that
goes away decides nothing.

Names of columns, a server's words, a value in a file may hold what a terminal obeys: escape
sequences, carriage returns, marks that turn the direction of text. `use` puts streams in the place
of sys.stdout and sys.stderr that write such characters as Python spells them (`\\x1b`), whoever
writes, so that nobody can forget it; the tool's own colours and bars are drawn past that, on
`canvas`. Line breaks stay: `indented` keeps the lines after the first of a message from looking
like messages of the tool.

When a stream cannot be written to (a closed pipe, a full disk, a terminal that is gone), it is
given up, quietly: the work, its reports and its exit code are what they would have been.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

_DESCRIPTORS = 3  # of input, output and errors
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n\t]")


def printable(text: str) -> str:
    """`text` with every character that is not to be seen, but for line breaks and tabs, written as
    Python spells it: control characters, marks of direction, halves of surrogate pairs."""
    return _UNPRINTABLE.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def indented(text: str) -> str:
    """`text` with its lines after the first one set in, so that none of them looks like a line of
    the tool's own."""
    return text.replace("\n", "\n  ")


class Steadfast:
    """A text stream that swallows what goes wrong in writing to it. What else can be asked of a
    stream is answered by the one that it stands for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text` as it is; returns its length whatever becomes of it."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Pass on what has been written."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Let what is written from now on, and what still waits to be, go nowhere."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class _Screened(Steadfast):
    """The same for what may come from outside."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)

    @property
    def canvas(self) -> Steadfast:
        """The same stream, for what is the tool's own."""
        return Steadfast(self._stream)


_canvases: dict[int, TextIO] = {}


def canvas(stream: TextIO) -> TextIO:
    """Where the tool draws what it would put on `stream`: colours and bars pass as they are."""
    if not isinstance(stream, _Screened):
        return stream
    return _canvases.setdefault(id(stream), cast(TextIO, stream.canvas))


@contextmanager
def use() -> Iterator[None]:
    """Speak through streams of this kind for as long as this lasts."""
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _screened(sys.stdout, 1), _screened(sys.stderr, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if None not in before:
            sys.stdout, sys.stderr = before
        _canvases.clear()


def _open_what_is_closed() -> None:
    """Give the process an input, an output and a place for errors where it has been started
    without: or the next file that is opened would be taken for one of them."""
    for number in range(_DESCRIPTORS):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)


def _screened(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # the interpreter has found it closed
        stream = os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # an encoding may lack characters
    return cast(TextIO, _Screened(stream))
