"""The nursery (nursery.py beside this asks it): a process that has loaded the tool, and forks.

What is born in it runs a script as an interpreter does that was started for it, or is one of the
processes that share the work of such a command: those are forked here as well, where the product
starts an interpreter.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import multiprocessing
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from multiprocessing import forkserver, spawn
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, ModuleType
from typing import Any, NoReturn, TextIO

from tests.support.operators.orders import receive, send
from tests.support.places import ROOT
from tests.support.records import in_parts

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
# Times that are shortened: no emulator's index lags behind its table, none of its tables takes time
# to be made, and a verification that finds something missing would wait thirteen seconds for it;
# what was being changed during a backup is at rest at once; what a plan says of this machine's
# speed need not be exact.
_SETTLED_AFTER = 0.05
_SHORTER = {
    "validate.verify.engine": {"_INDEX_DELAY": 0.002},
    "load.forecast.speed": {"_MEASURED_SECONDS": 0.01},
    "load.backup.aws_recovery": {"_POLL_SECONDS": 0.02},
    "load.backup.engine": {"_PAUSE": 0.05},
    "load.repair.engine": {"SETTLED_AFTER": _SETTLED_AFTER},
    "load.restore.engine": {"SETTLED_AFTER": _SETTLED_AFTER},
    "load.rollback.engine": {"SETTLED_AFTER": _SETTLED_AFTER},
    "load.s3_import.import_table": {"_FIRST_POLL": 0.02},
    "load.s3_import.table_settings": {"_POLL_SECONDS": 0.02},
    "load.sync.removal": {"SETTLED_AFTER": _SETTLED_AFTER},
    "load.target.tables": {"_POLL_SECONDS": 0.02},
}
_LOOK_EVERY = 0.02  # seconds, while there are processes that nobody tells the end of
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_SET_CHILD_SUBREAPER = 36  # Linux: PR_SET_CHILD_SUBREAPER
Life = Callable[[], object]


@dataclass
class _Command:
    """A process of its own group; `asker` is told its pid, its end, and the end of its group."""

    asker: socket.socket
    pid: int = 0

    def tell(self, line: int) -> None:
        with suppress(OSError):  # nobody listens any more
            self.asker.sendall(b"%d\n" % line)

    begins = ends = tell


@dataclass
class _Helper:
    """A process that shares the work of a command; what is told of it goes as multiprocessing
    expects it to a descriptor."""

    told: int
    pid: int = 0

    def begins(self, pid: int) -> None:
        forkserver.write_signed(self.told, pid)

    def ends(self, code: int) -> None:
        with suppress(OSError):
            forkserver.write_signed(self.told, code)
        os.close(self.told)


@dataclass
class _Room:
    """Where processes are born until there is nobody who asks any more."""

    orders: socket.socket
    asking: int  # the descriptor at which those who are born here ask for more
    _living: dict[int, _Command | _Helper] = field(default_factory=dict)
    _leaving: list[_Command] = field(default_factory=list)

    def life(self) -> Life | None:
        """Fork a process for each order. Returns in each of them the life that it has, and None
        in the first one when there are no more orders."""
        bell, rope = os.pipe()
        for end in (bell, rope):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(rope)
        while True:
            every = _LOOK_EVERY if self._leaving else None
            ready = select.select([_STDIN, self.orders.fileno(), bell], [], [], every)[0]
            if _STDIN in ready:
                return None
            if bell in ready:
                os.read(bell, 1 << 10)
            if self.orders.fileno() in ready and (life := self._born()):
                os.close(bell)
                os.close(rope)
                return life
            self._bury()

    def _born(self) -> Life | None:
        asker, kind, text, descriptors = receive(self.orders)
        order: tuple[Any, Any, Any] = pickle.loads(text)
        child: _Command | _Helper = (
            _Helper(descriptors.pop()) if kind == b"helper" else _Command(asker)
        )
        if kind == b"command":
            with suppress(OSError):
                code_of(order[0][0])
        if pid := os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            if isinstance(child, _Command):
                with suppress(OSError):
                    os.setpgid(pid, pid)
            else:
                asker.close()
            child.pid = pid
            self._living[pid] = child
            child.begins(pid)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (*self._living.values(), *self._leaving, child):
            other.asker.close() if isinstance(other, _Command) else os.close(other.told)
        asker.close()
        self.orders.close()
        asking = self.asking
        if kind == b"command":
            return partial(_command, asking, *order, descriptors)
        return partial(_help, asking, *order, descriptors)

    def _bury(self) -> None:
        """Take note of all that have ended, also of what they have left behind."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child = self._living.pop(ended[0], None)
                if child:
                    child.ends(os.waitstatus_to_exitcode(ended[1]))
                if isinstance(child, _Command):
                    self._leaving.append(child)
        for child in [each for each in self._leaving if not _is_there(each.pid)]:
            self._leaving.remove(child)
            child.asker.close()


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _adopt() -> None:
    """From now on whoever has lost the process that started it is this one's: what has ended is
    not left to an init that looks only every other second."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(directory: str, environment: dict[str, str], streams: Sequence[int]) -> None:
    """Take on the directory, the environment and the streams of a command."""
    for ours, theirs in zip((_STDIN, _STDOUT, _STDERR), streams, strict=True):
        os.dup2(theirs, ours)
        os.close(theirs)
    _open_streams()
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _open_streams() -> None:
    """Open the streams as an interpreter does at its start: what they are is asked only then."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before: TextIO = getattr(sys, name)
        stream = open(  # noqa: SIM115 - it is there until the end
            number,
            "w" if number else "r",
            encoding=before.encoding,
            errors=before.errors,
            closefd=False,
        )
        if name == "stderr":
            stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


@cache
def code_of(script: str) -> CodeType:
    """A script, compiled once for all who run it."""
    return compile(Path(script).read_bytes(), script, "exec")


def _command(
    asking: int,
    command: list[str],
    directory: str,
    environment: dict[str, str],
    streams: Sequence[int],
) -> NoReturn:
    """Run a script to its end. The process leaves as an interpreter does, but for taking apart
    what it has loaded, which takes longer than many a command."""
    os.setpgid(0, 0)
    _become(directory, environment, streams)
    forkserver.connect_to_new_process = _asking(asking)  # type: ignore[assignment]
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=command[0], __builtins__=__builtins__)
    sys.modules["__main__"] = main
    code: object = 0
    try:
        exec(code_of(command[0]), main.__dict__)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201
    threading._shutdown()  # type: ignore[attr-defined] # as an interpreter's end does
    atexit._run_exitfuncs()
    _leave(code if isinstance(code, int) else int(code is not None))


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _asking(asking: int) -> Callable[[Sequence[int]], tuple[int, int]]:
    """How a command has a process that shares its work: multiprocessing's own way to do so."""

    def connect(descriptors: Sequence[int]) -> tuple[int, int]:
        (heard, told), (reads, writes) = os.pipe(), os.pipe()
        order = pickle.dumps((os.getpgid(0), str(Path.cwd()), dict(os.environ)))
        with socket.socket(fileno=os.dup(asking)) as orders:
            everything = (_STDIN, _STDOUT, _STDERR, reads, *descriptors, told)
            send(orders, b"helper", order, everything).close()
        os.close(told)
        os.close(reads)
        return heard, writes

    return connect


def _help(
    asking: int,
    group: int,
    directory: str,
    environment: dict[str, str],
    descriptors: Sequence[int],
) -> NoReturn:
    """The life of a process that shares the work of a command, as multiprocessing's fork server
    leads it."""
    with suppress(OSError):  # it has ended meanwhile
        os.setpgid(0, group)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    streams, (reads, *given) = descriptors[:3], descriptors[3:]
    _become(directory, environment, streams)
    os.close(asking)
    forkserver._forkserver._inherited_fds = given  # type: ignore[attr-defined]
    _leave(spawn._main(reads, os.dup(reads)))


def _tool() -> Iterator[str]:
    """All modules of the tool."""
    for package in _PACKAGES:
        yield from (each.name for each in walk_packages([str(ROOT / package)], f"{package}."))


def _know_patterns() -> None:
    """Compile what takes long: the forms of records, and the files of the tool, whose digests every
    command would take."""
    forms: Any = import_module("validate.fast.forms")
    forms.sale_form()
    forms.line_cells(b"")
    for kind in ("buyer", "producer"):
        import_module("validate.fast.parties").party_reader(kind)
    version: Any = import_module("utils.version")
    version.rules()
    version.whole_code()


def _know_reports() -> None:
    """Compile templates and schemas."""
    rendering: Any = import_module("utils.pages.rendering")
    environment = rendering.environment()
    for template in environment.list_templates():
        environment.get_template(template)
    rendering.look()
    schemas: Any = import_module("utils.reports.report_schemas")
    for report in schemas.report_names():
        schemas.problems_of(report, b"{}")


def _know_aws() -> None:
    """Read the descriptions of AWS's services once, and the list of them: every command's session
    would read them."""
    loaders: Any = import_module("botocore.loaders")
    loaders.JSONFileLoader.load_file = _known_by_name(loaders.JSONFileLoader.load_file)
    loaders.Loader.list_available_services = _known_by_name(loaders.Loader.list_available_services)
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    session = import_module("boto3").Session(region_name="eu-west-1", **keys)
    for service in ("dynamodb", "sts"):
        session.client(service)


def _known_by_name(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that gives for a name what it has given before, whosoever it was."""
    known = dict[tuple[str, ...], Any]()

    def call(self: Any, *names: str, **named: str) -> Any:
        asked = *names, *named.values()
        if asked not in known:
            known[asked] = method(self, *names, **named)
        return known[asked]

    return call


def _fork_helpers() -> None:
    """A command asks here for the processes that share its work."""
    pool: Any = import_module("utils.processes.pool")
    pool.get_context = lambda _method: multiprocessing.get_context("forkserver")
    pool.resource_tracker.ensure_running = lambda: None  # which is an interpreter as well


def main() -> None:
    """The life of the nursery, and of each process that is born in it."""
    for module in (*_MODULES, *_tool()):
        import_module(module)
    _know_patterns()
    _know_reports()
    for module, times in _SHORTER.items():
        for name, seconds in times.items():
            assert hasattr(import_module(module), name), (module, name)
            setattr(import_module(module), name, seconds)
    in_parts.install()
    _know_aws()
    _fork_helpers()
    _adopt()
    gc.collect()
    gc.freeze()  # what all have in common is nobody's garbage
    orders, asking = map(int, sys.argv[1:])
    if life := _Room(socket.socket(fileno=orders), asking).life():
        life()


if __name__ == "__main__":
    main()
