"""A pseudo terminal that a command is at, and what is to be seen on it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.operators.nursery import ForkedProcess
from tests.support.operators.operator import NURSERY, Operator, Outcome
from tests.support.operators.orders import Streams

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass
class PseudoTerminal:
    """Runs a command; `shown` is everything that it has written, as it was written."""

    columns: int = 120
    shown: str = ""
    then: list[tuple[str, Callable[[PseudoTerminal], None]]] = field(default_factory=list)
    """What to do as soon as a text has been shown, one after the other."""
    _ours: int = -1
    _process: subprocess.Popen[bytes] | ForkedProcess | None = None

    def run(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> int:
        """Wait for the end of a command; returns its exit code."""
        self._ours, theirs = pty.openpty()
        self.resize(self.columns)
        streams = theirs, theirs, theirs
        environ = {**environment, "TERM": "xterm"}
        if NURSERY.takes(command, environ):
            self._process = NURSERY.start_at(command, directory, environ, streams)
        else:
            self._process = _started(command, directory, environ, streams)
        os.close(theirs)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := os.read(self._ours, 4096):
                self.shown += decoder.decode(block)
                if self.then and self.then[0][0] in _CONTROL.sub("", self.shown):
                    self.then.pop(0)[1](self)
        except OSError:
            pass  # how Linux says that the other side is closed
        finally:
            os.close(self._ours)
        return self._process.wait(60)

    def resize(self, columns: int) -> None:
        """Make the window so wide."""
        self.columns = columns
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def press_ctrl_c(self) -> None:
        """Interrupt the command."""
        assert self._process
        self._process.send_signal(2)

    @property
    def lines(self) -> list[str]:
        """What is left on each line in the end."""
        return [line.rsplit("\r", 1)[-1].rstrip() for line in _plain(self.shown).split("\n")]

    def drawn(self, begin: str) -> list[str]:
        """Every state of a line with this beginning."""
        return [
            state.rstrip()
            for state in re.split(r"[\r\n]+", _plain(self.shown))
            if state.startswith(begin)
        ]


def on_a_terminal(operator: Operator, *arguments: str, columns: int = 120) -> Outcome:
    """An operator's command on a pseudo terminal; everything it shows is in `stdout`."""
    operator.write_config()
    terminal = PseudoTerminal(columns)
    code = terminal.run(operator.command(*arguments), operator.directory, operator.environment)
    return Outcome(code, terminal.shown, "")


def _started(
    command: Sequence[str], directory: Path, environ: Mapping[str, str], streams: Streams
) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        command, cwd=directory, env=environ, stdin=stdin, stdout=stdout, stderr=stderr
    )


def _plain(text: str) -> str:
    return _CONTROL.sub("", text).replace("\r\n", "\n")
