"""A small process between a server and whoever wants it, so that no server is ever orphaned.

Run as `python supervisor.py STOP_SIGNAL UID:GID|- DIRECTORY|- COMMAND…`. It starts the command
and reads signal numbers from its standard input, one a line, which it passes on. When its
standard input ends, because the process at the other end stopped, crashed or was killed, it sends
the stop signal, SIGKILL some seconds later, and deletes the directory, which nobody else will
delete now. It ends when the server does, with the server's exit code.

A pipe is used rather than the death signal of Linux: that one is tied to the thread that started
the child, not to its process, and does not exist elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Run the command until it ends; returns its exit code (128 + n when signal n ended it)."""
    stop_signal, account, directory, *command = arguments
    server = _start(command, account)
    deserted = threading.Event()
    orders = (server, int(stop_signal), deserted)
    threading.Thread(target=_obey, args=orders, daemon=True).start()
    code = server.wait()
    if deserted.is_set() and directory != "-":
        shutil.rmtree(directory, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _start(command: list[str], account: str) -> subprocess.Popen[bytes]:
    if account == "-":
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    user, group = (int(number) for number in account.split(":"))
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, user=user, group=group, extra_groups=[]
    )


def _obey(server: subprocess.Popen[bytes], stop_signal: int, deserted: threading.Event) -> None:
    # Read without a buffer: a buffered reader that is blocked while the interpreter shuts down
    # aborts the process.
    while received := os.read(0, 64):
        for number in received.split():
            server.send_signal(int(number))
    deserted.set()
    server.send_signal(stop_signal)
    time.sleep(GRACE_SECONDS)
    server.kill()


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # not held up by the thread that still reads
