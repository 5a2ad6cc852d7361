"""`migrate.py dashboard`: a run in a browser on this machine, live."""

from __future__ import annotations

import getpass
import socket
import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path

import click

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, data_directory, is_in_s3
from utils.config import Config
from utils.dashboard.application import Pages
from utils.dashboard.board import Boards
from utils.dashboard.guard import TOKEN, Guard
from utils.dashboard.serving import ADDRESS, listening, serve
from utils.dashboard.watched import Directories
from utils.error_handler import ConfigurationError, ExitCode, MigrationError
from utils.files.storage import storage_errors

_EVERY = 5.0  # seconds between two looks at what is kept in S3


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Port of 127.0.0.1 to answer on (default: one that is free).",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="A data directory instead of the configured one.",
)
@click.option("--open", "opens", is_flag=True, help="Show it in a browser.")
@click.pass_obj
def dashboard(caller: Caller, port: int, directory: Path | None, opens: bool) -> None:
    """Show a run live in a browser on this machine, and what has ended as well.

    It looks at files only, and the run does not notice: it may begin, end, be killed, resumed or
    cleaned up meanwhile. Only this machine can reach it (127.0.0.1), with the address that it
    prints; from elsewhere through ssh, as it says. Nothing can be changed by it, personal data are
    masked as in the logs, and neither S9 nor the target is asked. Ctrl-C ends it.
    """
    at_the_edge(lambda: _run(caller, port, directory, opens=opens))


def _run(caller: Caller, port: int, directory: Path | None, *, opens: bool) -> ExitCode:
    root = directory or data_directory(caller.config_path)
    _require_readable(root)
    known = _known(caller, directory)
    boards = Boards(Directories(root), known, _complain)
    pages = Pages(boards, lambda: known or _settings(caller, directory), caller.by_files)
    guard = Guard(pages.application())
    opened = listening(port)
    port = opened.getsockname()[1]
    address = f"http://{ADDRESS}:{port}/?{TOKEN}="

    def began() -> None:
        click.echo(
            f"Dashboard of {root}: {address}{guard.token}\n"
            "Open it in a browser on this machine. The token is as good as a password: whoever has "
            "it, and can reach this machine's own address, sees what you see.\n"
            f"From another machine, type there: ssh -N -L {port}:{ADDRESS}:{port} {_ourselves()}\n"
            "and open the same address there. Ctrl-C ends the dashboard; the run does not notice."
        )
        if opens:
            ticket = f"{address}{guard.ticket()}"
            threading.Thread(target=_open, args=(ticket,), daemon=True).start()

    if directory is None:
        threading.Thread(target=_follow, args=(caller.config_path,), daemon=True).start()
    with opened:
        serve(guard, boards, opened, began=began, complain=_complain)
    click.echo("\n" + said("dashboard-ended", directory=root))
    return ExitCode.DONE


def _follow(config_path: Path) -> None:
    """Get again and again what is kept in S3. What cannot be got now is got later: the pages say of
    when it is what they show."""
    while is_in_s3(config_path):
        time.sleep(_EVERY)
        with suppress(MigrationError):
            data_directory(config_path)


def _require_readable(root: Path) -> None:
    """Raise for what is there and is no directory, or not to be read; it may come later."""
    with storage_errors(root):
        if root.is_dir():
            next(root.iterdir(), None)
        elif root.exists():
            raise ConfigurationError(
                f"{root} is no directory", remedy="name the data directory of a run"
            )


def _known(caller: Caller, directory: Path | None) -> Config | None:
    """The configuration, None without one: the pages do without, and mask."""
    with suppress(MigrationError):
        return _settings(caller, directory)
    return None


def _settings(caller: Caller, directory: Path | None) -> Config:
    """The configuration; where nobody has named one and there is none, the defaults. Raises
    ConfigurationError."""
    if directory is not None and not caller.config_path.exists():
        return Config()
    return caller.settings()


def _ourselves() -> str:
    """Who and where, for ssh, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "USER"
    return f"{user}@{socket.gethostname() or 'HOST'}"


def _open(address: str) -> None:
    if not webbrowser.open(address):
        click.echo("There is no browser here: open the address above in one.", err=True)


def _complain(text: str) -> None:
    click.echo(text, err=True)
