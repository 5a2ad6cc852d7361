"""An operator at the command line: writes config.json, types commands, looks at what is left.

Every command is a process of its own, in a directory of its own, with an environment in which
nothing of the real one is left that could help it: no credentials, no home. It is forked from a
process that has the tool's modules already (nursery.py beside this), unless its environment, its
limits, or the test asks for an interpreter of its own, as a shell starts it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.documents.figures import ONE_OF_MANY
from tests.support.operators.declared_reports import DeclaredReports
from tests.support.operators.nursery import ForkedProcess, Nursery
from tests.support.places import ROOT
from tests.support.records.content import content_of
from utils.cli.closings import COMMANDS, OPENINGS

SCRIPT = ROOT / "migrate.py"
MOMENT = "2026-01-30T08:00:00.000Z"
TIMEOUT = 120.0
ENTITIES: Final = ("buyers", "producers", "sales")
_MASK = re.compile("(…~)[0-9a-f]{8}".encode())
NURSERY = Nursery()
IMPATIENT = {"maxRetries": 1, "retryDelay": 0.001}


@dataclass(frozen=True)
class Outcome:
    """What a command left on the screen, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def last_line(self) -> str:
        return self.stdout.rstrip().rpartition("\n")[2]

    def ended(self, code: int) -> Outcome:
        """Assert the exit code, and that nothing unexpected came to the screen."""
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.output}"
        assert "Traceback" not in self.output, self.output
        assert "unexpected error" not in self.output, self.output
        assert "could not be made (a defect of the tool" not in self.output, self.output
        assert not (wrong := ONE_OF_MANY.search(self.output)), wrong
        if "Reports are in " in self.stdout:
            assert self.closing, f"no declared closing of exit code {code}: {self.last_line}"
        return self

    @property
    def closing(self) -> str:
        """The declared closing (utils/cli/closings.py) that the last line is, with the exit code;
        "" when it is none."""
        found = [
            each.name
            for each in (*OPENINGS, *COMMANDS)
            if self.code in each.codes and re.fullmatch(each.pattern, self.last_line)
        ]
        return found[0] if found else ""

    def failed(self, code: int, *words: str) -> Outcome:
        """Assert one clear message that has all `words`, with a remedy, and the exit code."""
        self.ended(code)
        assert self.stderr.count("Error: ") == 1, self.output
        message = self.stderr.partition("Error: ")[2]
        remedy = message.partition("What to do: ")[2]
        assert remedy.strip(), f"no remedy:\n{self.output}"
        for word in words:
            assert word in message, f"{word!r} is not in:\n{message}"
        return self


@dataclass
class Operator:
    """One data directory's operator. `config` is what `run` finds in config.json; `outcomes` has
    those of all that was run."""

    directory: Path
    config: dict[str, Any]
    environment: dict[str, str] = field(repr=False)
    secrets: list[str] = field(default_factory=list, repr=False)
    outcomes: list[Outcome] = field(default_factory=list, repr=False)
    reports: DeclaredReports = field(default_factory=DeclaredReports, repr=False)

    @property
    def data(self) -> Path:
        """The data directory that the configuration names; of a place in S3 the working copy."""
        named = self.config.get("data", {})
        directory = str(named.get("directory", "data"))
        if directory.startswith("s3://"):
            directory = str(named.get("workingCopy", "data"))
        return self.directory / directory

    @property
    def rehearsal(self) -> Operator:
        """The same operator, looking at what the last dry run has left."""
        rehearsed = str(self.data.relative_to(self.directory) / "dry-run")
        return replace(self, config={**self.config, "data": {"directory": rehearsed}})

    def configure(self, **sections: Mapping[str, Any]) -> Operator:
        """Change settings, a section at a time; returns itself."""
        for name, settings in sections.items():
            self.config[name] = _merged(self.config.get(name, {}), settings)
        return self

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(SCRIPT), *arguments]

    def run(
        self,
        *arguments: str,
        preexec: Callable[[], None] | None = None,
        configured: bool = True,
    ) -> Outcome:
        """Type a command and wait for its end. Unless `configured`, config.json is not touched."""
        if configured:
            self.write_config()
        command = self.command(*arguments)
        if preexec is None and NURSERY.takes(command, self.environment):
            ended = NURSERY.run(
                command, self.directory, self.environment, self.directory.parent, TIMEOUT
            )
            outcome = Outcome(ended[0], ended[1].decode(), ended[2].decode())
        else:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=self.environment,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                timeout=TIMEOUT,
                preexec_fn=preexec,  # the limits of a process are set in it
                check=False,
            )
            outcome = Outcome(done.returncode, done.stdout, done.stderr)
        self.outcomes.append(outcome)
        self.reports.check(self.directory)
        if "--json" in arguments and outcome.stdout.startswith("{"):
            self.reports.check_printed(arguments, outcome.stdout)
        return outcome

    def start(self, *arguments: str, anew: bool = False) -> Running:
        """Type a command, and go on while it is at work. With `anew` an interpreter is started for
        it and for those who share its work, and their command lines say so."""
        self.write_config()
        command = self.command(*arguments)
        if not anew and NURSERY.takes(command, self.environment):
            return Running(NURSERY.start(command, self.directory, self.environment))
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return Running(process)

    def write_config(self) -> None:
        path = self.directory / "config.json"
        path.touch(mode=0o600)
        path.write_bytes(orjson.dumps(self.config))

    def manifest(self) -> Any:
        return orjson.loads((self.data / "manifest.json").read_bytes())

    def report(self, name: str) -> Any:
        text = (self.data / "reports" / f"{name}_report.json").read_bytes()
        assert not (wrong := ONE_OF_MANY.search(text.decode())), wrong
        return orjson.loads(text)

    def transformed(self) -> dict[str, bytes]:
        """The bytes of each transformed file."""
        return {name: content_of(self.data / "transformed" / f"{name}.json") for name in ENTITIES}

    def extracted(self, entity: str) -> list[dict[str, Any]]:
        """The extracted records."""
        return _lines(self.data / "extracted" / f"{entity}.json")

    def items(self, entity: str) -> list[dict[str, Any]]:
        """The transformed items."""
        return [line["Item"] for line in _lines(self.data / "transformed" / f"{entity}.json")]

    def quarantine(self, entity: str) -> dict[str, dict[str, Any]]:
        """The refused records by their key in S9."""
        lines = _lines(self.data / "quarantine" / f"{entity}.json")
        return {line["legacyId"]: line for line in lines}

    def files(self) -> dict[str, bytes]:
        """Every file under the data directory that holds records, by its relative path; without
        the digests of masks, whose key each data directory has for itself."""
        return {
            path.relative_to(self.data).as_posix(): _MASK.sub(b"\\1", content_of(path))
            for name in ("extracted", "transformed", "quarantine")
            for path in sorted((self.data / name).glob("*.json"))
        }

    def assert_keeps_its_secrets(self, outcome: Outcome) -> None:
        """No secret of the environment is on the screen, nor in any file that a run has left."""
        for secret in self.secrets:
            assert secret not in outcome.output
            for path in self.data.rglob("*"):
                if path.is_file():
                    assert secret.encode() not in path.read_bytes(), path


class Running:
    """A command at work. Used as a context manager: it does not outlive the test."""

    def __init__(self, process: subprocess.Popen[str] | ForkedProcess) -> None:
        self.process = process

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def wait_for(self, what: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until `what` is so while the command goes on."""
        deadline = time.monotonic() + seconds
        while not what():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended too early:\n{self.end()}")
            assert time.monotonic() < deadline, "it does not get there"
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self, seconds: float = TIMEOUT) -> Outcome:
        """Wait for the end."""
        stdout, stderr = self.process.communicate(timeout=seconds)
        return Outcome(self.process.wait(), stdout, stderr)


def first_to_end(*commands: Running, seconds: float = 60.0) -> Running:
    """The one of the commands at work that ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for command in commands:
            if command.process.poll() is not None:
                return command
        time.sleep(0.02)
    raise AssertionError("none of them ends")


def scan(dynamodb: DynamoDBClient, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every item of a table by its key; nothing when there is no such table."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                found[item["PK"]["S"], item["SK"]["S"]] = dict(item)
    except dynamodb.exceptions.ResourceNotFoundException:
        return {}
    return found


def exists(dynamodb: DynamoDBClient, table: str) -> bool:
    """Whether there is such a table."""
    try:
        dynamodb.describe_table(TableName=table)
    except dynamodb.exceptions.ResourceNotFoundException:
        return False
    return True


def scan_all(
    dynamodb: DynamoDBClient, tables: TableNames
) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Every item of the three tables."""
    return {
        "buyers": scan(dynamodb, tables.buyers),
        "producers": scan(dynamodb, tables.producers),
        "sales": scan(dynamodb, tables.sales),
    }


def by_key(items: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Items by their key, as `scan` gives them."""
    return {(item["PK"]["S"], item["SK"]["S"]): item for item in items}


def party(first_id: int, kind: int, **changes: object) -> dict[str, object]:
    """A row of msg_anag that nobody finds fault with."""
    return {
        "first_id": first_id,
        "kind": kind,
        "enabled": True,
        "name": f"Officina {first_id} srl",
        "city": "Brescia",
        "country": "IT",
        "created_at": "2024-03-01 10:00:00",
        "updated_at": "2024-03-02 11:30:00",
        **changes,
    }


def sale(first_id: int, buyer_id: int, producer_id: int, **changes: object) -> dict[str, object]:
    """A row of msg that nobody finds fault with, once it has a line: dates rise with numbers."""
    return {
        "first_id": first_id,
        "enabled": True,
        "sale_number": first_id,
        "sale_date": str(date(2024, 5, 7) + timedelta(days=first_id)),
        "buyer_id": buyer_id,
        "producer_id": producer_id,
        "status": "confermato",
        "created_at": "2024-05-17 09:00:00",
        "updated_at": "2024-05-17 09:00:00",
        **changes,
    }


def line(number: int, msg_id: int, **changes: object) -> dict[str, object]:
    """A row of msg_line: two pieces at 10.50 each."""
    return {
        "id": number,
        "msg_id": msg_id,
        "line_number": number,
        "product_description": f"Vite M{number}",
        "quantity": Decimal("2"),
        "unit_price": Decimal("10.50"),
        **changes,
    }


def insert(s9: S9Database, table: str, *rows: Mapping[str, object]) -> None:
    """Put rows into a table of S9."""
    for row in rows:
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        s9.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())


def small_trade(s9: S9Database) -> None:
    """Two buyers, a producer, two sales with three lines: all of it clean."""
    insert(s9, "msg_anag", party(1, 2), party(2, 3), party(3, 1))
    insert(s9, "msg", sale(10, 1, 3), sale(11, 2, 3))
    insert(s9, "msg_line", line(1, 10), line(2, 10), line(3, 11))


def environment(home: Path, **further: str) -> dict[str, str]:
    """An environment without credentials."""
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        **further,
    }


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    both = {**old, **new}
    for name, value in new.items():
        if isinstance(value, Mapping) and isinstance(old.get(name), Mapping):
            both[name] = _merged(old[name], value)
    return both


def _lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in content_of(path).splitlines()]
