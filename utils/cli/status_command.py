"""`migrate.py status`: how it stands, for somebody at another terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import orjson

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, data_directory, is_in_s3
from utils.error_handler import ConfigurationError, ExitCode
from utils.files.storage import storage_errors
from utils.ownership import CUTOVER
from utils.status.status import (
    FINISHED,
    NONE,
    RUNNING,
    FollowingStatus,
    Status,
    Watcher,
    latest,
    watchers,
)
from utils.telemetry.step_lines import Looks, bar_line, fleet_line, plain_line, waits_for
from utils.wording.figures import counted, lasting
from utils.wording.invocation import again, for_real
from utils.wording.terminal import canvas, columns_of, has_blocks, printable

_EVERY = 1.0  # seconds between two looks on a terminal, or for a program
_EVERY_PLAIN = 10.0
_SHORT = 1.0  # seconds: what took less is not shown, unless it is what a phase is about


@click.command()
@click.option("--watch", is_flag=True, help="Look again and again until it ends.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, or one a look.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="A data directory instead of the configured one.",
)
@click.pass_obj
def status(caller: Caller, watch: bool, as_json: bool, directory: Path | None) -> None:
    """Say how a command stands that works, or has worked, on the data directory.

    It looks at files only, and the command does not notice. Of the configuration only
    data.directory is read. A rehearsal and the demonstration inside the data directory are looked
    at, too: what is shown is what is at work, or else what was at work last. The exit code is 0
    whatever is found; Ctrl-C ends the watching, not what is watched.
    """
    at_the_edge(lambda: _run(caller, directory, watch=watch, as_json=as_json))


def _run(caller: Caller, directory: Path | None, *, watch: bool, as_json: bool) -> ExitCode:
    found = watchers(_existing(directory) if directory else data_directory(caller.config_path))
    screen = _Json(lines=watch) if as_json else _Screen(color=caller.screen.color)
    try:
        while True:
            if directory is None and is_in_s3(caller.config_path):  # and has changed there
                data_directory(caller.config_path)
            now = time.time()
            watcher, seen = latest([(each, each.look(now)) for each in found])
            goes_on = watch and seen.state == RUNNING
            screen.show(watcher, seen, now, goes_on=goes_on)
            if not goes_on:
                return ExitCode.DONE
            time.sleep(screen.every)
    except KeyboardInterrupt:
        return ExitCode.DONE


def _existing(directory: Path) -> Path:
    with storage_errors(directory):
        if directory.is_dir():
            return directory
    raise ConfigurationError(
        f"there is no directory {directory}", remedy="name the data directory of a run"
    )


class _Json:
    """Documents for a program: one, or one a line (`lines`) when there may be several."""

    every = _EVERY

    def __init__(self, *, lines: bool) -> None:
        self._option = 0 if lines else orjson.OPT_INDENT_2

    def show(self, _: Watcher, seen: Status, __: float, **___: bool) -> None:
        click.echo(orjson.dumps(seen.as_json(), option=self._option).decode())


class _Screen:
    """What an operator sees: on a terminal in the same place again and again."""

    def __init__(self, *, color: bool) -> None:
        self._is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._color = color and self._is_terminal
        self._drawn: list[int] = []  # the width of each line that is there
        self.every = _EVERY if self._is_terminal else _EVERY_PLAIN

    def show(self, watcher: Watcher, seen: Status, now: float, *, goes_on: bool) -> None:
        """Say how it stands; if it `goes_on`, what is said next takes the place of this."""
        looks = Looks(columns_of(sys.stdout), self._color, has_blocks(sys.stdout))
        lines = list(_lines(watcher, seen, now, looks if self._is_terminal else None))
        if goes_on and self._is_terminal:
            lines = _cut(lines, looks.columns)
        else:
            lines.append((_last_line(seen), 0))
        out = canvas(sys.stdout)
        out.write(self._back(looks.columns) + "".join(f"{text}\n" for text, _ in lines))
        out.flush()
        self._drawn = [width for _, width in lines]

    def _back(self, columns: int) -> str:
        """What leads to the first of the lines that are there, and takes them away."""
        if not self._drawn or not self._is_terminal:
            return ""
        # A terminal that has become less wide has broken them.
        rows = sum(max(1, -(-width // columns)) for width in self._drawn)
        return f"\x1b[{rows}F\x1b[J"


def _lines(
    watcher: Watcher, seen: Status, now: float, looks: Looks | None
) -> Iterator[tuple[str, int]]:
    """What there is to say, each line with its width; with bars where there is a terminal."""
    picture = watcher.picture
    if seen.state == NONE:
        return
    yield _plain(_headline(seen))
    for step in picture.steps:
        if step.is_worth_a_line(now):
            waiting = waits_for(picture) if seen.state == RUNNING else ""
            at = now if seen.state == RUNNING else picture.last
            bar = (
                bar_line(step, at, looks, waiting, picture.fleet)
                if looks
                else _plain(plain_line(step, at, waiting, picture.fleet))
            )
            yield bar
    if picture.fleet:
        yield _plain(fleet_line(picture.fleet))
    if seen.following:
        yield _plain(printable(_followed(seen.following)))
    if seen.to_come:
        yield _plain(f"To come: {', '.join(seen.to_come)}")
    if seen.cutover.is_switched:
        yield _plain(f"The Sale Module owns the data since {seen.cutover.since}")
    elif seen.cutover.step:
        go_on = for_real(CUTOVER)
        yield _plain(
            f"S9 owns the data; of the cut-over, {seen.cutover.step} is done. To go on: {go_on}"
        )


def _headline(seen: Status) -> str:
    took = f", for {lasting(seen.seconds)}" if seen.state == RUNNING and seen.seconds else ""
    return printable(f"{seen.words}{took}")


def _followed(how: FollowingStatus) -> str:
    """How S9's log is followed, in a line."""
    as_of = f"in step as of {how.in_step_as_of}" if how.in_step_as_of else "everything is compared"
    waiting = f"changes since {how.waiting_since} on their way, " if how.waiting_since else ""
    trouble = f"; {how.trouble}" if how.trouble else ""
    return (
        f"S9's log: {as_of}, {waiting}lag {lasting(how.lag_seconds)}, "
        f"{counted(how.passes, 'sync', 'syncs')} with {counted(how.records, 'record')} "
        f"({how.records_per_minute:,.1f} a minute), S9 keeps "
        f"{how.retained_bytes / 1_000_000:,.1f} MB (as of {how.seen_at}){trouble}"
    )


def _plain(text: str) -> tuple[str, int]:
    return text, len(text)


def _cut(lines: Sequence[tuple[str, int]], columns: int) -> list[tuple[str, int]]:
    """The lines that fit on the screen: the first, and the last of the others."""
    rows = max(os.get_terminal_size(sys.stdout.fileno()).lines - 1, 2)
    kept = [*lines[:1], *lines[1:][-(rows - 1) :]]
    return [
        (text, width) if width < columns else _plain(text[: columns - 1]) for text, width in kept
    ]


def _last_line(seen: Status) -> str:
    if seen.state == NONE:
        return said("status-none", directory=seen.directory, full=for_real("--full"))
    if seen.state == RUNNING:
        return said("status-running", watch=again("--watch"))
    if seen.state == FINISHED:
        return said("status-ended", sentence=seen.sentence or f"exit code {seen.exit_code}")
    return said("status-stopped", next=seen.next)
