"""`migrate.py cutover`: the switch from S9 to the Sale Module."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from utils.cli.choice import require_one_way
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.config import Config
from utils.cutover.acceptance import read_accepted
from utils.cutover.endings import Asked, Ending, ended
from utils.cutover.machine import Cutover
from utils.cutover.rehearsal import Rehearsal
from utils.cutover.state import IN_STEP, STEPS, SWITCHED, State
from utils.error_handler import ConfigurationError, ExitCode, MigrationError
from utils.files.workspace import Workspace
from utils.ownership import CUTOVER
from utils.run.lifecycle import bind, is_unfinished, stopping_place
from utils.run.manifest import Manifest
from utils.run.own_directories import require_unmarked
from utils.run.session import bring_files, keeping_files
from utils.wording import invocation
from utils.wording.figures import counted
from utils.wording.invocation import command

if TYPE_CHECKING:
    from utils.cutover.ways import Ways

_MODES = ("abort", "back", "status", "rehearse", "switched")


@dataclass(frozen=True)
class _Words:
    """The options of one command line."""

    is_stopped: bool
    freeze_check: float | None
    max_changes: int | None
    accept: Path | None
    switched: bool
    abort: bool
    back: bool
    status: bool
    rehearse: bool
    leave_behind: bool
    yes: bool

    def check(self) -> None:
        """Refuse combinations that would not mean what they seem to. Raises click.UsageError."""
        modes = {name: getattr(self, name) for name in _MODES}
        require_one_way(**modes)
        given = [f"--{name}" for name, is_given in modes.items() if is_given]
        goes_on = self.is_stopped or self.freeze_check is not None or self.accept is not None
        if goes_on and given:
            raise click.UsageError(f"{given[0]} goes alone")
        if self.yes and not self.back:
            raise click.UsageError("--yes goes with --back")
        if self.leave_behind and not self.switched:
            raise click.UsageError("--leave-behind goes with --switched")


@click.command()
@click.option("--s9-is-stopped", "is_stopped", is_flag=True, help="S9's application is stopped.")
@click.option(
    "--freeze-check",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="See for itself that nothing changes in S9 in so many seconds, instead of being told.",
)
@click.option(
    "--max-changes",
    type=click.IntRange(min=0),
    metavar="N",
    help="Do not ask for the standstill while a pass finds more changed records than this.",
)
@click.option(
    "--accept",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The edited copy of cutover_acceptance.json: what is open is accepted by name.",
)
@click.option("--switched", is_flag=True, help="The application is switched to the Sale Module.")
@click.option("--abort", is_flag=True, help="Give it up: S9 goes on.")
@click.option("--back", is_flag=True, help="After the switch: give the data back to S9.")
@click.option("--status", is_flag=True, help="Say how it stands; lock and reach nothing.")
@click.option(
    "--rehearse", is_flag=True, help="Walk all steps while S9 is at work; write nothing to either."
)
@click.option(
    "--leave-behind",
    is_flag=True,
    help="With --switched: what S9 has changed since the certificate, as listed, is left behind.",
)
@click.option("--yes", is_flag=True, help="With --back: do not ask.")
@click.pass_obj
def cutover(
    caller: Caller,
    is_stopped: bool,
    freeze_check: float | None,
    max_changes: int | None,
    accept: Path | None,
    switched: bool,
    abort: bool,
    back: bool,
    status: bool,
    rehearse: bool,
    leave_behind: bool,
    yes: bool,
) -> None:
    """Switch from S9 to the Sale Module, step by step; typed again, it goes on where it was.

    It brings the target up to S9, waits for S9 to be stopped, makes the last pass, verifies
    everything by S9, has accepted by name what is not simply the same, and certifies it: then the
    application is switched. Until `--switched` S9 owns the data, and `--abort` gives it up.

    Exit codes: 0 done as far as it can be, the last line says what is to be done now; 5 something
    is to be accepted; 4 the target is not what S9 is; 1 another gate is shut.
    """
    words = _Words(
        is_stopped,
        freeze_check,
        max_changes,
        accept,
        switched,
        abort,
        back,
        status,
        rehearse,
        leave_behind,
        yes,
    )
    words.check()
    at_the_edge(lambda: _run(caller, words))


def _run(caller: Caller, words: _Words) -> ExitCode:
    config = caller.settings()
    if words.status:
        bring_files(config)
        return _tell(_status(_state(config)))
    with keeping_files(config):
        return _go_on(caller, config, words)


def _state(config: Config) -> State:
    files = Workspace(Path(config.data.directory))
    return State.load(files, config.source.identity(), config.target.identity())


def _go_on(caller: Caller, config: Config, words: _Words) -> ExitCode:
    files, state = Workspace(Path(config.data.directory)), _state(config)
    if not words.abort:
        _require_migration(config, files)
    if not words.rehearse:
        invocation.stays_with(CUTOVER)
    ways = caller.ways(config, caller.screen)
    try:
        return _tell(_do(state, ways, words))
    except MigrationError as error:
        error.remedy = f"{error.remedy}\n{_owner(state)}"
        raise


def _do(state: State, ways: Ways, words: _Words) -> Ending:
    if words.abort:
        return _abort(state, ways)
    if words.back:
        return _back(state, ways, asks=not words.yes)
    accepted = read_accepted(words.accept) if words.accept else None
    asked = Asked(
        words.is_stopped,
        words.freeze_check,
        words.max_changes,
        accepted,
        words.switched,
        words.leave_behind,
    )
    if words.rehearse:
        return Rehearsal(state, ways, asked, click.echo).walk()
    return Cutover(state, ways, asked, click.echo, _confirm).go_on()


def _tell(ending: Ending) -> ExitCode:
    click.echo(said(ending.name, **ending.values))
    return ending.code


def _owner(state: State) -> str:
    """Who owns the data, and the command that goes back."""
    if state.is_switched:
        return (
            f"The Sale Module owns the data. To give them back to S9: {command('cutover --back')}"
        )
    if not state.steps:
        return "S9 owns the data, and nothing of a cut-over is done."
    return (
        f"S9 owns the data. To go on with the cut-over: {command(CUTOVER)}; to give it up: "
        f"{command('cutover --abort')}"
    )


def _confirm(question: str) -> bool:
    """Ask the person at the terminal; nobody is there where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        return False


def _require_migration(config: Config, files: Workspace) -> None:
    """Raise ConfigurationError unless there is a complete migration of this source and target."""
    require_unmarked(files, touch=False)
    manifest = Manifest.load(files.manifest)
    if manifest is None or not (manifest.begun or manifest.reached.get("target")):
        raise ConfigurationError(
            f"there is no migration in {files.root} to be cut over",
            remedy=f"migrate first: {command('--full')}",
        )
    bind(manifest, config, files.root)
    if manifest.rolled_back == "begun":
        raise ConfigurationError(
            f"the load of run {manifest.undoes} is being undone, and that was cut short",
            remedy=f"finish it: {command('rollback')}",
        )
    if manifest.rolled_back:
        raise ConfigurationError(
            f"the load of run {manifest.undoes} was undone: there is nothing to be cut over",
            remedy=f"migrate first: {command('--full')}",
        )
    if is_unfinished(manifest) and not manifest.syncs:
        raise ConfigurationError(
            stopping_place(manifest, None), remedy=f"resume it: {command('--resume')}"
        )


def _abort(state: State, ways: Ways) -> Ending:
    if state.is_switched:
        raise ConfigurationError(
            f"the switch was made at {state.switched_at}: there is nothing to give up any more",
            remedy=f"to give the data back to S9: {command('cutover --back')}",
        )
    last = next(reversed(state.steps), "")
    _unmark(state, ways)
    if last or state.marked:
        state.starts_over("aborted")
    values = {"after": f"after {last}" if last else "before anything was done"}
    return Ending(
        "cutover-aborted",
        ExitCode.DONE,
        {**values, "sync": command("sync"), "next": command(CUTOVER)},
    )


def _unmark(state: State, ways: Ways) -> None:
    """The tables say no more that it has switched."""
    if state.marked:
        for words in ways.unmark(state.cutover):
            click.echo(words)


def _back(state: State, ways: Ways, *, asks: bool) -> Ending:
    if not state.is_switched:
        raise ConfigurationError(
            "S9 owns the data: the switch has not been made",
            remedy=f"to give up the cut-over: {command('cutover --abort')}",
        )
    found = ways.compare()
    count = int(found.drift["byApplication"])
    report = state.files.report("drift")
    click.echo(
        f"The Sale Module has changed {counted(count, 'record')} that S9 has not: the way back "
        f"loses exactly that (listed in {report})"
    )
    if asks and not _confirm("Give the data back to S9?"):
        raise ConfigurationError(
            "the data stay with the Sale Module: it was not confirmed",
            remedy=f"look at {report}, then do it: {command('cutover --back --yes')}",
        )
    _unmark(state, ways)
    state.starts_over("taken back", lost=count, reports=dict(found.reports))
    values = {"lost": count, "report": report, "sync": command("sync")}
    return Ending("cutover-taken-back", ExitCode.DONE, values)


def _status(state: State) -> Ending:
    """How it stands, by the file alone."""
    for step, entry in state.steps.items():
        click.echo(f"{step}: done {entry['at']}")
    for entry in state.history:
        click.echo(f"{entry['what']}: {entry['at']} (after {entry['after'] or 'nothing'})")
    if state.is_switched:
        return ended(state)
    due = next((step for step in STEPS if step not in state.steps), SWITCHED)
    begins = due == IN_STEP
    values = {
        "due": "none is under way" if begins else f"the next step is {due}",
        "next": command("cutover --switched" if due == SWITCHED else CUTOVER),
    }
    return Ending("cutover-stands", ExitCode.DONE, values)
