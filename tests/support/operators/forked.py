"""Commands in processes forked from one that has loaded the tool's modules already.

Half of what a small run takes is loading them, and the tests type hundreds of commands. Each is
still a process of its own, with its own directory, environment, files and end; only what an
interpreter reads when it starts is the same for all. What needs another interpreter is not for
here: see `Nursery.takes`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import pickle
import runpy
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from signal import SIGKILL
from typing import Any, NoReturn

from tests.support.places import ROOT

# All of the tool, and what it and the libraries import only when they need it.
_PACKAGES = ("extract", "transform", "validate", "load", "utils")
_MODULES = (
    "migrate",
    "_strptime",
    "boto3",
    "difflib",
    "dotenv.main",
    "encodings.ascii",
    "encodings.idna",
    "encodings.utf_8_sig",
    "psycopg2.errorcodes",
    "pymysql",
    "statistics",
    "stringprep",
)
_READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_")
# Times that are shortened: no emulator's index lags behind its table, and a verification that finds
# something missing would wait thirteen seconds for it; what a plan says of this machine's speed
# need not be exact.
_SHORTER = {
    "validate.verify.engine": {"_INDEX_DELAY": 0.002},
    "load.forecast.speed": {"_MEASURED_SECONDS": 0.01},
    "load.sync.removal": {"SETTLED_AFTER": 0.05},
}
_LOOK_EVERY = 0.005  # seconds
_LENGTH = struct.Struct(">Q")
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_SET_CHILD_SUBREAPER = 36  # Linux: PR_SET_CHILD_SUBREAPER


class Nursery:
    """The process that commands are forked from. It is started for the first of them, and ends
    with the process that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

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
        """Run a command with nothing to read. Returns its exit code (negative: the signal that
        ended it) and what it wrote to both streams, which go through `files`. It has ended when
        all processes that it started have. Raises TimeoutError, after which they are dead."""
        out, err = files / ".stdout", files / ".stderr"
        deadline = time.monotonic() + timeout
        with self._lock:
            nursery = self._there()
            order = pickle.dumps((command[1:], str(directory), dict(environment), out, err))
            os.write(nursery.stdin.fileno(), _LENGTH.pack(len(order)) + order)
            group = int(nursery.stdout.readline())
            try:
                _wait_for(group, deadline)
            finally:
                code = int(nursery.stdout.readline())
        return code, out.read_bytes(), err.read_bytes()

    def _there(self) -> Any:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.operators.forked"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": os.devnull},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process


def _wait_for(group: int, deadline: float) -> None:
    """Wait until there is no process in a group, and kill them when it takes too long."""
    while _is_there(group):
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(group, SIGKILL)
            raise TimeoutError("the command takes too long")
        time.sleep(_LOOK_EVERY)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _forked() -> list[str] | None:
    """Fork a process for each order. Returns in each of them what it is to run, and None in the
    first one when there are no more orders."""
    while head := os.read(_STDIN, _LENGTH.size):
        (size,) = _LENGTH.unpack(head)
        order = b""
        while len(order) < size:
            order += os.read(_STDIN, size - len(order))
        command, directory, environment, out, err = pickle.loads(order)
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            _become(directory, environment, out, err)
            return list(command)
        with suppress(OSError):
            os.setpgid(child, child)
        os.write(_STDOUT, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(_STDOUT, b"%d\n" % os.waitstatus_to_exitcode(status))
        _bury(child)
    return None


def _adopt() -> None:
    """From now on whoever has lost the process that started it is this one's: what has ended is
    not left to an init that looks only every other second."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _bury(group: int) -> None:
    """Wait for the end of all that a command has left behind."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)


def _become(directory: str, environment: Mapping[str, str], out: Path, err: Path) -> None:
    """Take on the directory, the environment and the files of a command."""
    for descriptor, path in ((_STDIN, Path(os.devnull)), (_STDOUT, out), (_STDERR, err)):
        flags = os.O_RDONLY if descriptor == _STDIN else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _run(command: list[str]) -> NoReturn:
    """Run a script to its end. The process leaves as an interpreter does, but for taking apart
    what it has loaded, which takes longer than many a command."""
    sys.argv = command
    code: object = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201
    threading._shutdown()  # type: ignore[attr-defined] # as an interpreter's end does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _tool() -> Iterator[str]:
    """All modules of the tool."""
    for package in _PACKAGES:
        yield from (each.name for each in walk_packages([str(ROOT / package)], f"{package}."))


def _know_aws() -> None:
    """Read the descriptions of AWS's services once: every command's session would read them."""
    loader: Any = import_module("botocore.loaders").JSONFileLoader
    read, known = loader.load_file, dict[str, Any]()

    def load_file(self: Any, path: str) -> Any:
        if path not in known:
            known[path] = read(self, path)
        return known[path]

    loader.load_file = load_file
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    session = import_module("boto3").Session(region_name="eu-west-1", **keys)
    for service in ("dynamodb", "sts"):
        session.client(service)


def main() -> None:
    """The life of the nursery, and of each process that is born in it."""
    for module in (*_MODULES, *_tool()):
        import_module(module)
    import_module("validate.fast.forms").sale_form()  # patterns that take long to compile
    import_module("validate.fast.forms").line_form()
    import_module("utils.pages.rendering").environment().get_template("document.html")
    for report in import_module("utils.reports.report_schemas").report_names():
        import_module("utils.reports.report_schemas").problems_of(report, b"{}")
    for module, times in _SHORTER.items():
        for name, seconds in times.items():
            setattr(import_module(module), name, seconds)
    _know_aws()
    _adopt()
    gc.collect()
    gc.freeze()  # what all have in common is nobody's garbage
    if command := _forked():
        _run(command)


if __name__ == "__main__":
    main()
