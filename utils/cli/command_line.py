"""The command line's common ground: what every command gets, and how every command ends."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
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
    from utils.config import Config
    from utils.run.lifecycle import Screen
    from utils.run.run import Run

    Migrate = Callable[[Run, Callable[[Run, ExitCode], str]], ExitCode]
    """Follows the whole runbook in a run, and says in which words it has ended."""

DEFAULT_CONFIG = "config.json"
TYPED = "utils.cli.command_line.typed"


@dataclass(frozen=True)
class Caller:
    """What every command gets from the options before it."""

    screen: Screen
    config_path: Path
    identity: Path | None
    migrate: Migrate

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


class CommandGroup(click.Group):
    """A group whose secondary commands live beside what they do, and are imported when asked for.

    `elsewhere` maps a command's name to (module, attribute, one line of help).
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
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._elsewhere})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._elsewhere:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self._elsewhere[cmd_name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

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
    """Run a command; whatever happens ends in one message, a remedy and an exit code."""
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
    sys.exit(code)
