"""Nothing that an operator, a machine or an accident brings ends as "unexpected".

The model: random configurations, environments and states of the data directory, each drawn from a
seed. What may come of them is the right result, or one error of a known kind with a remedy and an
exit code that is documented. tests/trials asks for some of them, tests/torture for many.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from click.testing import CliRunner

import migrate
from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade
from utils.config import defaults
from utils.dynamodb.client import forget_targets
from utils.error_handler import ExitCode
from utils.logger import close_logs

LONGEST = 60  # seconds that a command may take
COMMANDS = (
    "--full",
    "--full",
    "--resume",
    "--dry-run",
    "--full --restart",
    "--phase extract",
    "--phase transform",
    "--phase validate",
    "--phase load",
    "--phase verify",
    "backup",
    "backups",
    "backups --verify",
    "clean --yes",
    "rollback --yes",
    "rollback --dry-run",
    "retry-quarantine",
)
# Settings that would only make a wrong target or source waited for longer.
_PATIENCE = {"maxRetries", "retryDelay", "connectionTimeout", "batchDelay", "maxWriteUnits"}
_PATIENCE |= {"maxReadUnits"}
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 4.0, 4.5, 1e308, 10**30, 2**63),
    *("", " ", "x", "true", "0", "x" * 5000, "Società", "\u202e\x1b[31m", "a\nb", "a\0b", "\ud800"),
    *("${NOPE}", "${HOME}", "${NOPE:-7}", "${", "~", "~nobody-here/x", "../..", "/dev/null", "/"),
    *("postgres://u:p@h/d", "password=x", "127.0.0.1", "x..y", "é.example", "http://[::1", "%s"),
    *([], {}, [[]], {"a": {"b": None}}, ["x", 1], {"": ""}, {"id": 1}, "2026-13-45T99:99:99.999Z"),
    *(
        "UTC",
        "SELECT 1",
        "1 = 1; DROP TABLE msg",
        "first_id > 0",
        "age1x",
        "eu-west-1",
        "verify-ca",
    ),
)
_ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "PGSERVICE": ("nobody", ""),
    "PGOPTIONS": (
        "-c search_path=pg_catalog",
        "-c nonsense=1",
        "-c default_transaction_isolation=x",
    ),
    "PGSSLMODE": ("verify-full", "nonsense"),
    "PGHOSTADDR": ("192.0.2.1", "x"),
    "PGPASSFILE": ("/nonexistent", "/dev/null"),
    "PGTZ": ("Asia/Tokyo", "x"),
    "PGDATESTYLE": ("German", "x"),
    "PGCLIENTENCODING": ("LATIN1", "x"),
    "PGTARGETSESSIONATTRS": ("standby", "x"),
    "PGREQUIRESSL": ("1", "x"),
    "AWS_PROFILE": ("nobody", ""),
    "AWS_REGION": ("x y", "us-east-1"),
    "AWS_DEFAULT_REGION": ("", "nowhere-1"),
    "AWS_CONFIG_FILE": ("/nonexistent", "/", "/dev/null"),
    "AWS_SHARED_CREDENTIALS_FILE": ("/nonexistent", "/"),
    "AWS_ACCESS_KEY_ID": ("chiavé", "x", ""),
    "AWS_MAX_ATTEMPTS": ("x", "-1", "3"),
    "AWS_RETRY_MODE": ("x", "adaptive"),
    "AWS_USE_FIPS_ENDPOINT": ("x", "true"),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": ("true", "x"),
    "HOME": ("/nonexistent", "", "/dev/null"),
    "LANG": ("C", "xx_XX.nothing", ""),
    "LC_ALL": ("C", "it_IT.ISO-8859-1", "x"),
    "TERM": ("dumb", "", "x"),
    "NO_COLOR": ("1", ""),
    "COLUMNS": ("0", "-1", "x", "1000000"),
    "LINES": ("x", "0"),
    "TMPDIR": ("/nonexistent", "/dev/null"),
    "TZ": ("x", "", ":/etc/nothing", "Asia/Tokyo"),
    "TQDM_MININTERVAL": ("x",),
    "PYTHONWARNINGS": ("always", "x"),
    "HTTP_PROXY": ("x", "http://"),
    "NO_PROXY": ("*", "127.0.0.1"),
    "S9_PASSWORD": ("", "wrong", "però€"),
}


def configuration(chance: Random, usual: Mapping[str, Any]) -> bytes:
    """A configuration file: the usual one with some settings changed, sometimes cut or spoilt."""
    document = json.loads(json.dumps(usual))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        *path, name = chance.choice(_settings())
        place = document
        for part in path:
            inner = place.get(part)
            place = inner if isinstance(inner, dict) else place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        else:
            place[name] = chance.choice(_VALUES)
    text = json.dumps(document, indent=chance.choice((None, 2)), ensure_ascii=chance.random() < 0.5)
    return _spoilt(chance, text.encode("utf-8", "surrogatepass"))


def _settings() -> list[tuple[str, ...]]:
    """The path of every setting and section, but for those of patience."""

    def below(path: tuple[str, ...], declared: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        for name, value in declared.items():
            if name not in _PATIENCE:
                yield (*path, name)
            if isinstance(value, dict):
                yield from below((*path, name), value)

    return [*below((), defaults()), ("nonsense",), ("source", "nonsense")]


def _spoilt(chance: Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: content[:at],
        lambda: content[:at] + b"\xff" + content[at:],
        lambda: b"\xef\xbb\xbf// a comment\n" + content,
        lambda: content.replace(b":", b": /* */", 3),
        lambda: content.replace(b"{", b"{" * 5000, 1),
        lambda: content.replace(b"true", b"NaN", 1),
        lambda: b'{"source": 1, ' + content[1:],
        lambda: b"",
    )
    return chance.choice(ways)() if chance.random() < 0.3 else content


def environment(chance: Random) -> dict[str, str]:
    """Some variables that change what a process does."""
    names = chance.sample(sorted(_ENVIRONMENT), chance.choice((1, 2, 4)))
    return {name: chance.choice(_ENVIRONMENT[name]) for name in names}


def disturb(chance: Random, data: Path) -> list[str]:
    """Do something to files of a data directory that is in order; returns what was done."""
    files = sorted(path for path in data.rglob("*") if path.is_file())
    return [
        _disturbed(chance, chance.choice(files), files) for _ in range(chance.choice((1, 1, 2)))
    ]


def _disturbed(chance: Random, path: Path, others: list[Path]) -> str:
    content = path.read_bytes() if path.is_file() else b""
    other = chance.choice(others)
    ways: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "empty": lambda: path.write_bytes(b""),
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "garbage": lambda: path.write_bytes(b"\xff\x00{" * 50),
        "other JSON": lambda: path.write_bytes(
            chance.choice((b"[]", b"{}", b"null", b"1", b'{"version": 99}', b'"x"'))
        ),
        "a directory": path.mkdir,
        "a link": lambda: path.symlink_to(other),
        "a dangling link": lambda: path.symlink_to("nowhere"),
        "another file": lambda: path.write_bytes(other.read_bytes() if other.is_file() else b"x"),
        "half done": lambda: (
            path.write_bytes(content),
            path.with_name(path.name + chance.choice((".tmp", ".partial"))).write_bytes(b"x"),
        ),
        "other values": lambda: path.write_bytes(_revalued(chance, content)),
    }
    way = chance.choice([*ways, "other values"])
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    ways[way]()
    return f"{path.name}: {way}"


def _revalued(chance: Random, content: bytes) -> bytes:
    """A JSON document with one value replaced, or gone; anything else as it is."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    place, trail = document, []
    while isinstance(place, (dict, list)) and place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        trail.append((place, key))
        place = place[key]
    if trail:
        owner, key = chance.choice(trail)
        if chance.random() < 0.2:
            del owner[key]
        else:
            owner[key] = chance.choice(_VALUES)
    return json.dumps(document).encode()


def typed(arguments: str, directory: Path, environ: Mapping[str, str]) -> str:
    """Type a command in this process, in a directory and an environment; returns what is wrong
    with how it ended, "" for nothing."""
    with _elsewhere(directory, environ):
        result = CliRunner().invoke(migrate.cli, arguments.split())
    if result.exception and not isinstance(result.exception, SystemExit):
        return f"{type(result.exception).__name__}: {result.exception}"
    return verdict(result.exit_code, result.output)


def verdict(code: int, output: str) -> str:
    """What is wrong with the end of a command, "" for nothing."""
    if code not in set(ExitCode):
        return f"exit code {code}:\n{output}"
    for word in ("Traceback", "unexpected ", "defect of the tool"):
        if word in output:
            return f"{word!r} is on the screen:\n{output}"
    errors = output.count("\nError: ")
    told = "What to do: " in output or "Usage: " in output
    if errors > 1 or (errors and not told) or (code == ExitCode.USAGE and not errors):
        return f"not one error with a remedy:\n{output}"
    return ""


class Hang(BaseException):
    """A command takes too long."""


@contextmanager
def _elsewhere(directory: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """In another directory, with another environment, for no longer than LONGEST."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = Path.cwd(), dict(os.environ), [signal.getsignal(number) for number in numbers]
    hooks, wakeup = (sys.excepthook, threading.excepthook), signal.set_wakeup_fd(-1)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    forget_targets()
    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        close_logs()
        signal.set_wakeup_fd(wakeup)
        for number, handler in zip(numbers, before[2], strict=True):
            signal.signal(number, handler)
        sys.excepthook, threading.excepthook = hooks
        os.environ.clear()
        os.environ.update(before[1])
        os.chdir(before[0])


def settle(operator: Operator, s9: S9Database) -> Operator:
    """The operator with a small S9, a run that has ended, and little patience."""
    small_trade(s9)
    s9.execute("UPDATE msg SET status = '???' WHERE first_id = 11")
    operator.configure(
        migration={"maxRetries": 0, "retryDelay": 0.001, "processes": 1},
        source={"connectionTimeout": 2},
    )
    operator.run("--full").ended(5)
    return operator


def configurations_that_fail(operator: Operator, seed: int, cases: int) -> Iterator[str]:
    """What is wrong with the ends of so many commands, each with a configuration of its own."""
    for number in range(cases):
        chance = Random(f"configuration {seed} {number}")
        content = configuration(chance, operator.config)
        (operator.directory / "config.json").write_bytes(content)
        command = chance.choice(COMMANDS)
        if wrong := typed(command, operator.directory, operator.environment):
            yield f"configuration {seed} {number}: {command}: {content!r}\n{wrong}"


def data_directories_that_fail(operator: Operator, seed: int, cases: int) -> Iterator[str]:
    """The same with files of the data directory disturbed."""
    kept = operator.directory / "kept"
    shutil.copytree(operator.data, kept)
    for number in range(cases):
        chance = Random(f"data {seed} {number}")
        shutil.rmtree(operator.data)
        shutil.copytree(kept, operator.data)
        done = disturb(chance, operator.data)
        command = chance.choice(COMMANDS)
        if wrong := typed(command, operator.directory, operator.environment):
            yield f"data {seed} {number}: {done}, {command}\n{wrong}"


def environments_that_fail(operator: Operator, seed: int, cases: int) -> Iterator[str]:
    """The same with other environments, each in a process of its own: much of it is read when a
    process starts."""
    for number in range(cases):
        chance = Random(f"environment {seed} {number}")
        further, command = environment(chance), chance.choice(COMMANDS)
        done = subprocess.run(
            operator.command(*command.split()),
            cwd=operator.directory,
            env={**operator.environment, **further},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=2 * LONGEST,
            check=False,
        )
        if wrong := verdict(done.returncode, done.stdout + done.stderr):
            yield f"environment {seed} {number}: {further}, {command}\n{wrong}"
