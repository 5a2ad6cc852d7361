"""Commands in processes forked from one that has loaded the tool's modules already.

Half of what a small run takes is loading them, and the tests type thousands of commands. Each is
still a process of its own, with its own directory, environment, streams and end; only what an
interpreter reads when it starts is the same for all. What needs another interpreter is not for
here: see `Nursery.takes`. The process itself is forked.py beside this.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import IO

from tests.support.operators.orders import Streams, send
from tests.support.places import ROOT

_READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_")


class ForkedProcess:
    """A command at work: what `subprocess.Popen` is, as far as the tests need it. `stdout` and
    `stderr` are there when they were asked for."""

    def __init__(self, told: socket.socket, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._told = told
        self._heard = b""
        self._is_gone = False
        self._lock = threading.Lock()
        self._readers: list[_Reader] = []
        while b"\n" not in self._heard:
            self._hear(None)
        self.pid = int(self._heard.partition(b"\n")[0])

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), None while it is at work."""
        while self.returncode is None and self._hear(0.0):
            pass
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            self._hear_until(deadline)
        return self.returncode

    def wait_for_all(self, timeout: float) -> int:
        """The same, when all that it has started has ended as well: its group is gone."""
        deadline = time.monotonic() + timeout
        while not self._is_gone:
            self._hear_until(deadline)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(SIGKILL)

    def kill_all(self) -> None:
        """Kill it and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it writes until its end. Raises subprocess.TimeoutExpired."""
        assert self.stdout and self.stderr
        deadline = None if timeout is None else time.monotonic() + timeout
        self._readers = self._readers or [_Reader(self.stdout), _Reader(self.stderr)]
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        self.wait(None if deadline is None else max(0.1, deadline - time.monotonic()))
        out, err = self._readers
        return out.text, err.text

    def _hear_until(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if (left is not None and left <= 0) or not self._hear(left):
            raise subprocess.TimeoutExpired(str(self.pid), 0.0)

    def _hear(self, timeout: float | None) -> bool:
        """Whether something was told: the pid, the exit code (a line each), the end of all. Several
        threads may listen."""
        try:
            if self._is_gone or not select.select([self._told], [], [], timeout)[0]:
                return False
        except ValueError:
            return True  # another thread has heard of the end
        with self._lock:
            try:
                heard = self._told.recv(64, socket.MSG_DONTWAIT)
            except OSError:
                return True  # another thread has heard it
            self._heard += heard
            lines = self._heard.split(b"\n")
            if len(lines) > len(("pid", "code")):
                self.returncode = int(lines[1])
            if not heard:
                assert self.returncode is not None, "the nursery has died"
                self._is_gone = True
                self._told.close()
        return True


class _Reader(threading.Thread):
    """Reads a stream to its end: `text`."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._stream = stream
        self.start()

    def run(self) -> None:
        with self._stream:
            self.text = self._stream.read()


class Nursery:
    """The process that commands are forked from. It is started for the first of them, and ends
    with the process that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def takes(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a command is a script for this interpreter, whose start would be the same in
        this environment as in an empty one."""
        return command[0] == sys.executable and not any(
            name.startswith(_READ_AT_THE_START) for name in environment
        )

    def run(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        files: Path,
        timeout: float,
    ) -> tuple[int, bytes, bytes]:
        """Run a command with nothing to read. Returns its exit code and what it wrote to both
        streams, which go through `files`. It has ended when all processes that it started have.
        Raises subprocess.TimeoutExpired, after which they are dead."""
        out, err = files / ".stdout", files / ".stderr"
        with (
            Path(os.devnull).open("rb") as nothing,
            out.open("wb") as told,
            err.open("wb") as wrong,
        ):
            streams = nothing.fileno(), told.fileno(), wrong.fileno()
            process = self.start_at(command, directory, environment, streams)
        try:
            code = process.wait_for_all(timeout)
        except subprocess.TimeoutExpired:
            process.kill_all()
            raise
        return code, out.read_bytes(), err.read_bytes()

    def start(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> ForkedProcess:
        """Start a command with nothing to read, whose streams are read from the process."""
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        texts = [os.fdopen(each, encoding="utf-8") for each in (out, err)]
        with (
            Path(os.devnull).open("rb") as nothing,
            os.fdopen(their_out, "wb"),
            os.fdopen(their_err, "wb"),
        ):
            streams = nothing.fileno(), their_out, their_err
            return self.start_at(command, directory, environment, streams, *texts)

    def start_at(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        streams: Streams,
        *texts: IO[str],
    ) -> ForkedProcess:
        """Start a command at streams that are there: descriptors, which stay the asker's."""
        stdout, stderr = texts or (None, None)
        order = pickle.dumps((command[1:], str(directory), dict(environment)))
        with self._lock:
            told = send(self._there(), b"command", order, streams)
        return ForkedProcess(told, stdout, stderr)

    def _there(self) -> socket.socket:
        if self._process is None or self._process.poll() is not None or self._orders is None:
            self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours = self._orders.fileno()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.operators.forked"),
                    *(str(theirs.fileno()), str(ours)),
                ],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": os.devnull},
                stdin=subprocess.PIPE,  # which is closed when this process ends
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), ours),
            )
            theirs.close()
        return self._orders
