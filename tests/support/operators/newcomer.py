"""A new operator, who types `check`, does what it says, word by word, and types it again.

What the command looks with is called in this process, side by side: the command itself, and what is
on the screen, are tried elsewhere.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from extract.checks.source_checks import check_source
from load.target.target_checks import check_target
from tests.conftest import S9Database
from tests.support.aws.ways import nothing_kept
from utils.checking.check import MACHINE, SOURCE, TARGET, Check, State, failures
from utils.checking.looking import Work, look, look_at_once
from utils.checking.machine import check_machine
from utils.cli.command_line import load_settings
from utils.config import Config
from utils.error_handler import ConfigurationError
from utils.files.workspace import Workspace

CONFIGURATION = "configuration"
EVERYTHING = (SOURCE, TARGET, MACHINE)
_SETTING = re.compile(r'\bset (\w+)\.(\w+) to (true|"[^"]*"|enable)')
_QUERY = re.compile(r'(extraction)\.(\w+)\.query: "([^"]*)"')
_SQL = re.compile(r"\b(?:GRANT|ALTER ROLE)\b[^;)]*")
_AWS = re.compile(r"\baws dynamodb .*?(?=; and when|; then: |\) and set|`|$)")


@dataclass
class Newcomer:
    """`config` is what stands in config.json, `environ` all that is in the environment; of the
    `sides` that are looked at, the others are known to be good."""

    directory: Path
    config: dict[str, Any]
    environ: dict[str, str]
    s9: S9Database | None = None
    dynamodb: DynamoDBClient | None = None
    text: str | None = None  # of config.json, where it is no JSON
    sides: tuple[str, ...] = EVERYTHING
    typed: list[str] = field(default_factory=list)

    def check(self) -> list[Check]:
        """What `check` finds; of a mistake in the configuration, that."""
        file = self.directory / "config.json"
        if self.text != "":
            file.write_bytes((self.text or "").encode() or orjson.dumps(self.config))
            file.chmod(0o600)
        with self._at_the_desk():
            try:
                return self._look(load_settings(Path("config.json"), quiet=True))
            except ConfigurationError as error:
                state = State.FAILED
                return [Check(MACHINE, CONFIGURATION, state, error.message, error.remedy)]

    def _look(self, config: Config) -> list[Check]:
        files, patience = Workspace(Path(config.data.directory)), config.source.connection_timeout
        works: dict[str, Work] = {
            SOURCE: partial(check_source, config, files),
            TARGET: partial(check_target, config, files),
        }
        chosen = {side: work for side, work in works.items() if side in self.sides}
        found = look_at_once(chosen, patience)
        if MACHINE in self.sides:
            found += look(MACHINE, partial(check_machine, config, files, found), patience)
        return found

    @contextmanager
    def _at_the_desk(self) -> Iterator[None]:
        before, place = dict(os.environ), Path.cwd()
        os.environ.clear()
        os.environ.update(self.environ)
        os.chdir(self.directory)
        try:
            with nothing_kept():
                yield
        finally:
            os.chdir(place)
            os.environ.clear()
            os.environ.update(before)

    def configure(self, section: str, **settings: Any) -> None:
        """Change settings of config.json."""
        self.config[section] = {**self.config.get(section, {}), **settings}

    def first_failure(self, name: str) -> Check:
        """What is said of the thing of this name, which has failed."""
        found = self.check()
        failed = [each for each in failures(found) if each.name.startswith(name)]
        assert failed, f"{name} has not failed: {found}"
        assert failed[0].remedy, failed[0]
        return failed[0]

    def carries_out(self, remedy: str) -> None:
        """Type what a remedy says: settings into config.json, SQL at S9, AWS's commands."""
        for section, setting, value in _SETTING.findall(remedy)[:1]:
            meant = True if value == "true" else value.strip('"')
            self.configure(section, **{setting: meant})
            self.typed.append(setting)
        for section, entity, query in _QUERY.findall(remedy):
            self.configure(section, **{entity: {"query": query}})
            self.typed.append(query)
        for statement in _SQL.findall(remedy):
            assert self.s9, statement
            self.s9.execute(statement.rstrip("; "))
            self.typed.append(statement)
        for line in _AWS.findall(remedy):
            assert self.dynamodb, line
            self._aws(shlex.split(line.rstrip(" ;:")))
            self.typed.append(line)
        assert self.typed, f"nothing of it can be typed: {remedy}"

    def _aws(self, words: list[str]) -> None:
        """What AWS's command line would do."""
        program, service, command, *rest = words
        assert (program, service) == ("aws", "dynamodb")
        options: dict[str, list[str]] = {}
        for word in rest:
            if word.startswith("--"):
                options[word] = []
            else:
                options[next(reversed(options))].append(word)
        assert options.pop("--region")
        options.pop("--endpoint-url", None)
        request = {_member(name): _value(name, given) for name, given in options.items()}
        getattr(self.dynamodb, command.replace("-", "_"))(**request)


def _member(option: str) -> str:
    """The name that an option has in the API."""
    return "".join(word.capitalize() for word in option.removeprefix("--").split("-"))


def _value(option: str, given: list[str]) -> Any:
    if option == "--attribute-definitions":
        return [_shorthand(each) for each in given]
    [text] = given
    if text.startswith(("[", "{")):
        return orjson.loads(text)
    return _shorthand(text) if "=" in text else text


def _shorthand(text: str) -> Mapping[str, Any]:
    pairs = dict(pair.split("=") for pair in text.split(","))
    return {name: {"true": True, "false": False}.get(value, value) for name, value in pairs.items()}
