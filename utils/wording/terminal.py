"""The screen: what comes from outside is made printable before it gets there, and a screen that
goes away decides nothing.

Names of columns, a server's words, a value in a file may hold what a terminal obeys: escape
sequences, carriage returns, marks that turn the direction of text. `use` puts streams in the place
of sys.stdout and sys.stderr that write such characters as Python spells them (`\\x1b`), whoever
writes, so that nobody can forget it; the tool's own colours and bars are drawn past that, on
`canvas`. Line breaks stay: `indented` keeps the lines after the first of a message from looking
like messages of the tool.

Where bars are drawn, the last line is `bottom`: it is drawn over and over, and whatever else is
written, by whomever, comes above it.

When a stream cannot be written to (a closed pipe, a full disk, a terminal that is gone), it is
given up, quietly: the work, its reports and its exit code are what they would have been.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

_DESCRIPTORS = 3  # of input, output and errors
_COLUMNS = 80  # of a terminal that does not say
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


class BottomLine:
    """The last line of a terminal, which is drawn over. Safe to share between threads.

    It is not drawn while the cursor is within a line that somebody has begun: a question, for
    example, whose answer is still to be typed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._drawn = 0  # characters
        self._stream: TextIO | None = None
        self._is_within_a_line = False

    def draw(self, stream: TextIO, text: str, width: int) -> None:
        """Have `text`, which takes up `width` columns, for the last line."""
        with self._lock:
            if self._is_within_a_line:
                return
            rest = " " * (min(self._drawn, columns_of(stream) - 1) - width)
            stream.write(f"\r{text}{rest}")
            stream.flush()
            self._stream, self._drawn = stream, width

    @contextmanager
    def above(self, text: str) -> Iterator[None]:
        """While this lasts the line is away, for `text` to be written in its place."""
        with self._lock:
            self.wipe()
            yield
            self._is_within_a_line = not text.endswith("\n") if text else self._is_within_a_line

    def wipe(self) -> None:
        """Have no such line."""
        with self._lock:
            if self._stream is not None and self._drawn:
                blank = " " * min(self._drawn, columns_of(self._stream) - 1)
                self._stream.write(f"\r{blank}\r")
                self._stream.flush()
            self._drawn = 0

    def begins_a_line(self) -> None:
        """Whatever was asked has been answered."""
        self._is_within_a_line = False


bottom = BottomLine()


def columns_of(stream: TextIO) -> int:
    """How wide a terminal is at this moment."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    return _COLUMNS


def has_blocks(stream: TextIO) -> bool:
    """Whether bars can be drawn of blocks."""
    try:
        "█".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


class _Canvas(Steadfast):
    """A stream for what is the tool's own, above the bottom line."""

    def write(self, text: str) -> int:
        with bottom.above(text):
            return super().write(text)


class _Screened(_Canvas):
    """The same for what may come from outside."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)

    @property
    def canvas(self) -> Steadfast:
        """The same stream, for what is the tool's own."""
        return _Canvas(self._stream)

    @property
    def ground(self) -> Steadfast:
        """The same stream, for the bottom line itself."""
        return Steadfast(self._stream)


_canvases: dict[int, TextIO] = {}


def canvas(stream: TextIO) -> TextIO:
    """Where the tool draws what it would put on `stream`: colours and bars pass as they are."""
    if not isinstance(stream, _Screened):
        return stream
    return _canvases.setdefault(id(stream), cast(TextIO, stream.canvas))


def ground(stream: TextIO) -> TextIO:
    """Where the bottom line of `stream` is drawn."""
    return cast(TextIO, stream.ground) if isinstance(stream, _Screened) else stream


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
