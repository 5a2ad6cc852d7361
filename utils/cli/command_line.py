"""The command line's common ground: what every command gets, and how every command ends."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from utils.error_handler import (
    ConfigurationError,
    ExitCode,
    MigrationError,
    of_the_machine,
    traceback_of,
)
from utils.settings.environment import take_out
from utils.wording import terminal
from utils.wording.masking import conceal_environment

if TYPE_CHECKING:
    from utils.checking.check import Check
    from utils.config import Config
    from utils.cutover.ways import Ways
    from utils.explain.stations import Phases
    from utils.files.workspace import Workspace
    from utils.run.lifecycle import Screen
    from utils.run.run import Run

    Checks = Callable[[Config], list[Check]]
    """Looks at both ends and at this machine."""

    Migrate = Callable[[Run, Callable[[Run, ExitCode], str]], ExitCode]
    """Follows the whole runbook in a run, and says in which words it has ended."""

    ByFiles = Callable[[Config, str, str], dict[str, Any]]
    """What the files alone tell of the record of an entity that a key names, as `explain --json`
    does. Raises MigrationError."""

DEFAULT_CONFIG = "config.json"
TYPED = "utils.cli.command_line.typed"
SHARED = ("config_path", "identity", "verbose", "quiet", "no_color", "version")
"""The options of the group that go with every command, after it as well as before it."""


@dataclass(frozen=True)
class Caller:
    """What every command gets from the options before it."""

    screen: Screen
    config_path: Path
    identity: Path | None
    migrate: Migrate
    check: Checks
    record: Callable[[], Phases]
    by_files: ByFiles
    unfollow: Callable[[Config, Workspace], list[str]]
    ways: Callable[[Config, Screen], Ways]
    rights: Callable[[Config, Mapping[str, str], str], Iterable[tuple[str, str]]]

    def settings(self) -> Config:
        """The configuration that the options name, with .env of the current directory in the
        environment. Raises ConfigurationError with every mistake in it."""
        config = load_settings(self.config_path, quiet=self.screen.quiet)
        if self.identity is None:
            return config
        key_file = str(self.identity)
        return replace(
            config,
            backup=replace(config.backup, identity=key_file),
            data=replace(config.data, identity=key_file),
        )


def data_directory(config_path: Path) -> Path:
    """The data directory of a configuration, for who only looks; without a configuration, where
    nobody has named one, the usual one. Of files that are kept in S3 it is the working copy, which
    has them then. Raises ConfigurationError, and of S3 what utils/run/session.py says."""
    from dotenv import load_dotenv

    from utils.config import DataConfig
    from utils.run.session import bring_files
    from utils.settings import config_file

    if str(config_path) == DEFAULT_CONFIG and not config_path.exists():
        return Path(DataConfig().directory)
    with suppress(OSError, ValueError):  # who needs what is in it says so
        load_dotenv(Path.cwd() / ".env")
    take_out(os.environ)
    found = config_file.data_directory(config_path, os.environ)
    if found.startswith(config_file.IN_S3):
        config = load_settings(config_path, quiet=True)
        bring_files(config)
        return Path(config.data.directory)
    return Path(found)


def is_in_s3(config_path: Path) -> bool:
    """Whether the data directory of a configuration is a place in S3; False where that cannot be
    told."""
    from utils.settings import config_file

    with suppress(ConfigurationError):
        named = config_file.data_directory(config_path, os.environ)
        return named.startswith(config_file.IN_S3)
    return False


class Subcommand(click.Command):
    """A secondary command with the options that every command has beside its own. What is given of
    these after the command is the group's to read (CommandGroup)."""

    shared: tuple[click.Option, ...]

    @classmethod
    def of(cls, command: click.Command, shared: Iterable[click.Option]) -> Subcommand:
        """`command` with the options `shared`."""
        dressed = cls(
            command.name,
            callback=command.callback,
            params=[*command.params],
            help=command.help,
            short_help=command.short_help,
            hidden=command.hidden,
        )
        dressed.shared = tuple(shared)
        return dressed

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *self.shared]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options first, then those of every command."""
        own = [each for each in self.get_params(ctx) if each not in self.shared]
        for title, params in (("Options", own), ("Options of every command", self.shared)):
            records = (each.get_help_record(ctx) for each in params)
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])


class CommandGroup(click.Group):
    """A group whose secondary commands live beside what they do, and are imported when asked for.

    `elsewhere` maps a command's name to (module, attribute, one line of help). The options of every
    command (`SHARED`) may stand after it as well as before it, and its own before it where the
    group has one of that name: what is typed means the same wherever it stands.
    """

    def __init__(self, *args: Any, elsewhere: dict[str, tuple[str, str, str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._elsewhere = elsewhere

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does, before a screen that decides nothing (utils/wording/terminal.py)."""
        take_out(os.environ)  # before any of the libraries looks
        with terminal.use():
            return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; what was typed is kept (utils/wording/invocation.py)."""
        ctx.meta[TYPED] = list(args)
        refuse_contradictions(self, ctx, _values(self, ctx, args))
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; what stands on the other side of the command is brought over."""
        name, command, words = super().resolve_command(ctx, args)
        if command is None:
            return name, command, words
        words = [*self._meant_for(command, ctx), *words]
        after = click.Context(command, info_name=name, parent=ctx)
        values = _values(command, after, words)
        refuse_contradictions(command, after, values)
        for option in self._shared():
            if option.name in values:
                self._take(ctx, after, option, values[option.name][-1])
        return name, command, words

    def _take(
        self, ctx: click.Context, after: click.Context, option: click.Option, typed: Any
    ) -> None:
        """An option of the group has been given after the command. Raises click.UsageError when it
        stands before it with another value."""
        assert option.name
        value = option.type_cast_value(after, typed)
        if _is_given(ctx, option.name):
            refuse_contradictions(self, after, {option.name: [ctx.params[option.name], value]})
        ctx.params[option.name] = value

    def _meant_for(self, command: click.Command, ctx: click.Context) -> list[str]:
        """The options before a command that are its own, `--dry-run` for example. Raises
        click.UsageError for those that do not go with it: nothing that was typed is left out."""
        known = {name for param in command.params for name in param.opts}
        words = []
        for option in self.params:
            if option.name in SHARED or not _is_given(ctx, option.name or ""):
                continue
            typed = option.opts[0]
            if typed not in known:
                raise click.UsageError(f"{typed} does not go with the command {command.name}", ctx)
            words.append(typed)
        return words

    def _shared(self) -> list[click.Option]:
        return [
            each for each in self.params if isinstance(each, click.Option) and each.name in SHARED
        ]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._elsewhere})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._elsewhere:
            command = super().get_command(ctx, cmd_name)
        else:
            module, attribute, _ = self._elsewhere[cmd_name]
            command = getattr(import_module(module), attribute)
        return command and Subcommand.of(command, map(_not_exposed, self._shared()))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List every command with its help, without importing those that live elsewhere."""
        rows = []
        for name in self.list_commands(ctx):
            if name in self._elsewhere:
                rows.append((name, self._elsewhere[name][2]))
            elif (command := super().get_command(ctx, name)) and not command.hidden:
                rows.append((name, command.get_short_help_str(limit=formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _not_exposed(option: click.Option) -> click.Option:
    """The option, for a command whose function does not get it."""
    other = copy(option)
    other.expose_value = False
    return other


def _values(
    command: click.Command, ctx: click.Context, words: Sequence[str]
) -> dict[str, list[Any]]:
    """What the words after a command give each of its options, one time after the other."""
    params = [_collecting(each) for each in command.get_params(ctx)]
    reading = click.Command(command.name, params=params, add_help_option=False)
    given, _, _ = reading.make_parser(ctx).parse_args(args=list(words))
    once = {each.name for each in command.get_params(ctx) if isinstance(each, click.Option)}
    return {name: values for name, values in given.items() if name in once}


def _collecting(param: click.Parameter) -> click.Parameter:
    """The same option, which keeps every value that it is given."""
    other = copy(param)
    if isinstance(other, click.Option):
        other.multiple = True
    return other


def refuse_contradictions(
    command: click.Command, ctx: click.Context, given: Mapping[str, Sequence[Any]]
) -> None:
    """Raise click.UsageError when an option that has one value is given several: what a command
    does must not depend on which of them was typed last."""
    for param in command.get_params(ctx):
        values = dict.fromkeys(map(str, given.get(param.name or "", ())))
        if len(values) > 1 and not getattr(param, "multiple", False):
            raise click.UsageError(
                f"{param.opts[0]} is given {len(values)} times, with different values "
                f"({', '.join(values)}): give it once",
                ctx,
            )


def load_settings(config_path: Path, *, quiet: bool = False) -> Config:
    """The configuration, with .env of the current directory in the environment; unless `quiet`,
    warns of what is unwise about the two files."""
    from dotenv import load_dotenv

    from utils.settings.config_file import load_config, parse
    from utils.settings.config_safety import concerns, questions

    environment_file = Path.cwd() / ".env"
    try:
        load_dotenv(environment_file)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            ".env cannot be read: it is not UTF-8 text", remedy="save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL, which no variable can hold
        raise ConfigurationError(
            f".env cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}",
            remedy="make it a readable text file with one NAME=value on each line, or remove it",
        ) from error
    take_out(os.environ)
    conceal_environment(os.environ)
    config = load_config(config_path, os.environ)
    if config.backup.recipient or config.data.recipient:
        _check_keys(config)
    if not quiet:
        unwise = concerns(config_path, parse(config_path), environment_file)
        for concern in (*unwise, *questions(config)):
            click.echo(f"Warning: {concern}", err=True)
    return config


def _check_keys(config: Config) -> None:
    """Raise ConfigurationError for a public key that is none: now, not when a run ends."""
    from utils.files.encryption import recipients

    recipients(config.backup.recipient, "backup.recipient")
    recipients(config.data.recipient, "data.recipient")


def require_table_name(name: str, option: str) -> None:
    """Raise ConfigurationError when what an option names is no table; its name is a file's, too."""
    from utils.config import is_table_name

    if not is_table_name(name):
        raise ConfigurationError(
            f"{option} {name}: no table has such a name (3 to 255 letters, digits, `_`, `.`, `-`)",
            remedy="use the name that DynamoDB has: `aws dynamodb list-tables` lists them",
        )


def guard_uncaught() -> None:
    """What nobody catches, in this thread or another, is printed without what it may quote."""

    def print_scrubbed(error: BaseException | None) -> None:
        if error is not None and not isinstance(error, SystemExit) and not _is_known(error):
            click.echo(traceback_of(error), err=True)

    sys.excepthook = lambda _kind, error, _trace: print_scrubbed(error)
    threading.excepthook = lambda happened: print_scrubbed(happened.exc_value)


def _is_known(error: BaseException) -> bool:
    """Whether psycopg2 prints this because it stumbles over an error that it has raised already:
    the last words of a server that goes come while that error is on its way to whoever asked."""
    cause = type(error.__cause__).__module__.partition(".")[0]
    return isinstance(error, SystemError) and cause == "psycopg2"


def _defect(error: Exception) -> MigrationError:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return MigrationError(
        f"an unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}",
        remedy="this is a defect of the tool: please report this line",
    )


def _told(error: MigrationError) -> ExitCode:
    message, remedy = terminal.indented(error.message), terminal.indented(error.remedy)
    click.echo(f"\nError: {message}\nWhat to do: {remedy}", err=True)
    return error.exit_code


def at_the_edge(work: Callable[[], ExitCode]) -> NoReturn:
    """Run a command; whatever happens ends in one message, a remedy and an exit code, and what was
    worked on has its page for people."""
    from utils.telemetry.worked_on import take_worked_on
    from utils.working_copy.at_work import send_pages

    guard_uncaught()
    try:
        code = work()
    except MigrationError as error:
        code = _told(error)
    except KeyboardInterrupt:
        click.echo("\nInterrupted before anything was begun.", err=True)
        code = ExitCode.INTERRUPTED
    except Exception as error:  # inside a run, recording_why_it_stops has turned it into the above
        code = _told(of_the_machine(error) or _defect(error))
    with suppress(KeyboardInterrupt):
        if worked_on := take_worked_on():  # what makes pages takes a while to be loaded
            from utils.pages.report.making import make_pages

            make_pages(worked_on)
            send_pages(lambda text: click.echo(text, err=True))
    sys.exit(code)
