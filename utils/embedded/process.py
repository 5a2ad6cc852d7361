"""A server process that ends with the process that started it, however that one ends."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUPERVISOR = Path(__file__).resolve().with_name("supervisor.py")
_LOG_TAIL_BYTES = 4_000
_LOG_TAIL_LINES = 8


@dataclass(frozen=True)
class Account:
    """The user and group that a server runs as."""

    uid: int
    gid: int


class ServerProcess:
    """A running command. Its output goes to `log` (appended; None: nowhere).

    `scratch` is a directory to delete if this process ends without having stopped the server.

    It is in a session of its own: a Ctrl-C in the terminal reaches only the program that uses
    it, which then stops it in good order.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        directory: Path | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._stop_signal = stop_signal
        self._owner = os.getpid()
        identity = "-" if account is None else f"{account.uid}:{account.gid}"
        supervisor = [sys.executable, "-I", "-S", str(_SUPERVISOR)]
        output = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if log:
                os.fchmod(output, 0o600)  # whatever the umask
            self._process = subprocess.Popen(
                [*supervisor, str(int(stop_signal)), identity, str(scratch or "-"), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=None if environment is None else dict(environment),
                cwd=directory,
                start_new_session=True,
            )
        finally:
            os.close(output)
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether the server has not ended yet."""
        return self._process.poll() is None

    def wait(self, timeout: float) -> int | None:
        """The exit code of a command that ends by itself; None when it was stopped because it
        took longer than `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.stop()

    def stop(self, how: signal.Signals | None = None, *, timeout: float = 10.0) -> None:
        """Send the stop signal (or `how`) and wait; after `timeout` seconds, SIGKILL.

        Does nothing when it has ended, and in a process that was forked off the one that
        started it.
        """
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        if self.running:
            self._send(how or self._stop_signal)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._send(signal.SIGKILL)
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _send(self, number: signal.Signals) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{int(number)}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has just ended by itself


def log_tail(log: Path) -> str:
    """The last lines of a server's log, for the message of an error."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        lines = handle.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(empty log)"
