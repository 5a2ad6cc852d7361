"""A run's life: opened over what is already there, ended or stopped, found again by a resume."""

from __future__ import annotations

import enum
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from utils import logger
from utils.checkpoint import Checkpoint
from utils.config import PHASE_NAMES, Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import (
    ArtifactError,
    ConfigurationError,
    ExitCode,
    MigrationError,
    RunInterrupted,
    of_the_machine,
    traceback_of,
)
from utils.files.storage import storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted, StopFlag
from utils.ownership import require_s9_owns
from utils.progress import Display
from utils.run.lock import run_lock
from utils.run.manifest import Manifest
from utils.run.own_directories import DEMONSTRATION, REHEARSAL, require_ours, require_unmarked, take
from utils.run.run import COMPLETE, Run
from utils.settings.environment import make_room
from utils.telemetry.cloudwatch.beside import close_cloudwatch, open_cloudwatch
from utils.telemetry.command_events import command_told
from utils.telemetry.tasks import Tasks
from utils.telemetry.worked_on import works_on
from utils.version import this_tool
from utils.wording import invocation, masking
from utils.wording.figures import counted
from utils.working_copy.at_work import at_work_in

Known = TypeVar("Known")


@dataclass(frozen=True)
class Screen:
    """How to talk: what --verbose, --quiet and --no-color say."""

    verbose: bool = False
    quiet: bool = False
    color: bool = True


@contextmanager
def open_run(
    config: Config,
    screen: Screen,
    start: Start,
    phases: Sequence[str] = PHASE_NAMES,
    entities: Sequence[str] = ENTITY_NAMES,
    *,
    stop: StopFlag | None = None,
    repairs: bool = False,
    after_switch: bool = False,
) -> Iterator[Run]:
    """Lock the data directory, open its manifest and logs; record why a run stops, if it does.
    `phases` and `entities` are those that it will go through; `stop` is the flag of who opens one
    run after the other. It also `repairs` the target, or is to write there although the Sale Module
    owns the data by now (`after_switch`).

    Raises MigrationError when another run is at work, when the directory belongs to the migration
    of another source or target, when `start` does not go with what is there, or when it would write
    what S9 had over what the Sale Module has now.
    """
    make_room()
    files, own = Workspace(Path(config.data.directory)), _OWN.get(start)
    if own:
        require_ours(files, own)
    else:
        require_unmarked(files)
    files.prepare()
    logger.set_up_screen(
        config.logging, verbose=screen.verbose, quiet=screen.quiet, color=screen.color
    )
    stop = stop or StopFlag()
    with run_lock(files.lock), at_work_in(config, files.root, stop):
        if not (own or after_switch) and (repairs or start.writes(phases)):
            require_may_write(files, start)
        works_on(files.root, config)
        mark = take(files, own) if own else {}
        files.set_pages_aside()
        masking.set_up(mask_key(files), personal=config.logging.mask_personal_data)
        manifest, is_readable = _manifest_of(files, start)
        bind(manifest, config, files.root)
        run = Run(
            config,
            files,
            manifest,
            Tasks(),
            stop,
            keeps_manifest=is_readable,
            after_switch=after_switch,
        )
        display = Display(quiet=screen.quiet, color=screen.color, keeps=start is not Start.FOLLOW)
        run.events.listen(display)
        begin(run, start)
        run.events.run = run.manifest.run_id
        run.manifest.made_for = mark
        if start is Start.REHEARSAL:
            invocation.is_closed()
        elif start is Start.SYNC:
            invocation.goes_on_with(invocation.SYNC)
        elif start is Start.FOLLOW:
            invocation.goes_on_with(invocation.FOLLOW)
        elif start not in _BY_HAND:  # a phase by hand is typed again
            invocation.goes_on_with(invocation.RESUME)
        logger.set_up_files(config.logging, files.log, files.error_log, run.manifest.run_id)
        if start is not Start.REHEARSAL:  # which writes nowhere
            open_cloudwatch(config, run.manifest.run_id, run.events)
        run.stop.install()
        try:
            with (
                display,
                run.workers,
                command_told(files, run.progress, start.command, phases=phases, entities=entities),
                run.engine,
                recording_why_it_stops(run, looks=start in _BY_HAND and phases[-1] == "verify"),
            ):
                yield run
        finally:
            shutil.rmtree(files.scratch, ignore_errors=True)
            close_cloudwatch()
            logger.close_logs()


def _manifest_of(files: Workspace, start: Start) -> tuple[Manifest, bool]:
    """The manifest of a directory, and whether the run keeps it. Who believes nothing that is there
    leaves a damaged one as it is, and begins none. Raises ArtifactError."""
    anew = start is Start.FROM_SOURCE
    try:
        known = Manifest.load(files.manifest)
        return known or Manifest.new(), known is not None or not anew
    except ArtifactError as error:
        if not anew:
            raise
        logger.get_logger().warning("%s; nothing of it is needed", error.message)
        return Manifest.new(), False


def mask_key(files: Workspace) -> bytes:
    """The key of this data directory's masks, made when there is none yet."""
    with storage_errors(files.mask_key):
        key = files.mask_key.read_bytes() if files.mask_key.exists() else b""
    if len(key) != masking.KEY_BYTES:
        key = masking.new_key()
        write_atomically(files.mask_key, key)
    return key


class Start(enum.Enum):
    """What a run makes of what is already in the data directory."""

    ANEW = "a new run; refused over an unfinished one"
    RESTART = "a new run, whatever there is"
    REHEARSAL = "a new run in a directory that is emptied first"
    RESUME = "resume the unfinished run"
    BY_HAND = "one phase, with what there is"
    FROM_SOURCE = "the last phase, with nothing of what there is"
    DEMONSTRATION = "the same, for a demonstration"
    SYNC = "a new run that brings the target up to S9, or the one of these that is unfinished"
    FOLLOW = "one such run after the other, each begun when S9's log has something"
    AGAIN = "over a run that has ended: its quarantine is tried again"

    @property
    def command(self) -> str:
        """What is typed for it, as the events have it."""
        return _COMMANDS[self]

    def writes(self, phases: Sequence[str]) -> bool:
        """Whether a run that goes through these phases writes what S9 has into the target."""
        if self in (Start.BY_HAND, Start.FROM_SOURCE):
            return "load" in phases
        return self is not Start.REHEARSAL


_COMMANDS = {
    Start.ANEW: "full",
    Start.RESTART: "full",
    Start.REHEARSAL: "dry-run",
    Start.RESUME: "resume",
    Start.BY_HAND: "phase",
    Start.FROM_SOURCE: "phase",
    Start.DEMONSTRATION: "demo",
    Start.SYNC: invocation.SYNC,
    Start.FOLLOW: invocation.SYNC,
    Start.AGAIN: invocation.RETRY_QUARANTINE,
}
_BY_HAND = (Start.BY_HAND, Start.FROM_SOURCE)
_OWN = {Start.REHEARSAL: REHEARSAL, Start.DEMONSTRATION: DEMONSTRATION}


def begin(run: Run, start: Start) -> None:
    """Begin a new run in the manifest or resume the one that is there, as `start` says.

    A new run forgets what earlier ones completed, and keeps the migration's timestamp.
    """
    run.settle()
    old, unfinished = run.manifest, is_unfinished(run.manifest)
    require_may_begin(run, start)
    run.is_at_rest = start is Start.FOLLOW
    if run.is_at_rest:
        return
    if start is Start.SYNC and unfinished:
        start = Start.RESUME
    if start in (Start.ANEW, Start.RESTART, Start.SYNC, *_OWN):
        run.manifest = replace(
            old.successor(),
            # What a rollback needs of the last load stays until this run has written.
            artifacts=_kept_for_undo(old.artifacts),
            sealed=_kept_for_undo(old.sealed),
        )
        if start is Start.RESTART and unfinished:
            # What the dropped run has written is this run's to account for.
            run.manifest.baseline = old.baseline
            run.manifest.backups = old.backups
            run.manifest.reached["target"] = old.reached.get("target", {})
        run.manifest.syncs = start is Start.SYNC
        run.checkpoint.clear()
        supersede(run, PHASE_NAMES[0])
    if start is Start.RESUME:
        run.check_checkpoint()
    run.resuming = start is Start.RESUME
    if start not in (Start.RESUME, *_BY_HAND):
        take_up(run)


def is_unfinished(manifest: Manifest) -> bool:
    """Whether a run has begun and not come to its end."""
    return (
        manifest.begun
        and manifest.outcome in (None, ExitCode.FAILED, ExitCode.INTERRUPTED)
        and manifest.rolled_back != "done"
    )


def require_may_write(files: Workspace, start: Start) -> None:
    """Raise ConfigurationError when the Sale Module owns the data since the switch."""
    what = "a load" if start in _BY_HAND else f"`{start.command}`"
    further = {Start.SYNC: f"sync all the same: {invocation.command('sync --after-switch')}"}
    require_s9_owns(files, what, further=[further[start]] if start in further else [])


def require_may_begin(run: Run, start: Start) -> None:
    """Raise ConfigurationError when `start` does not go with the run that is in the directory."""
    _check_rollback(run, start)
    begun, unfinished = run.manifest.begun, is_unfinished(run.manifest)
    if start is Start.AGAIN and (unfinished or not begun):
        raise ConfigurationError(
            where_it_stopped(run) if begun else f"no run has ended in {run.workspace.root}",
            remedy="complete it first: " + run.command("--resume" if begun else "--full"),
        )
    if start in (Start.SYNC, Start.FOLLOW) and unfinished and run.manifest.syncs:
        _check_tool(run)
    elif start in (Start.ANEW, Start.SYNC, Start.FOLLOW) and unfinished:
        raise ConfigurationError(
            where_it_stopped(run),
            remedy=f"resume it: {run.command('--resume')}\nor start over, which drops what it has "
            f"done: {run.command('--full --restart')}",
        )
    if start is Start.RESUME and not run.workspace.manifest.exists():
        raise ConfigurationError(
            f"there is nothing to resume in {run.workspace.root}: no run has been started",
            remedy=f"start one: {run.command('--full')}",
        )
    if start in (Start.RESUME, Start.AGAIN):
        _check_tool(run)


def _check_tool(run: Run) -> None:
    """Raise ConfigurationError when another version of the tool, or of its rules, began the run:
    its items and those of this one would be of two kinds."""
    began, this = run.manifest.tool, this_tool()
    if not run.manifest.begun or began == this:
        return
    which = " with rules ".join(began.values()) if began else "an unnamed one"
    raise ConfigurationError(
        f"run {run.manifest.run_id} was begun by another version of the tool ({which}; this is "
        f"{this['version']} with rules {this['rules']}): resuming it here would mix two sets of "
        "rules",
        remedy="finish it with the version that began it, or start over with this one: "
        f"{run.command('--full --restart')}",
    )


def _kept_for_undo(files: Mapping[str, Known]) -> dict[str, Known]:
    return {name: known for name, known in files.items() if name.startswith("undo/")}


def _check_rollback(run: Run, start: Start) -> None:
    """Raise ConfigurationError when a run cannot go on because its load is being undone, or was."""
    state = run.manifest.rolled_back
    run_id = run.manifest.undoes
    if state == "begun" and start not in (Start.RESTART, Start.FROM_SOURCE):
        raise ConfigurationError(
            f"the load of run {run_id} is being undone, and that was cut short",
            remedy=f"finish it: {run.command('rollback')}",
        )
    if state == "done" and start in (Start.RESUME, Start.AGAIN):
        raise ConfigurationError(
            f"the load of run {run_id} was undone: there is nothing to resume",
            remedy=f"start a new run: {run.command('--full')}",
        )


# The reports of each phase; what else there is are accounts of what was done, which stay true.
_REPORTS = {
    # What a load has found in the tables is of the files that it had; it looks again itself.
    "transform": ("mapping", "conflicts", *(f"only_in_target_{name}" for name in ENTITY_NAMES)),
    "validate": ("validation", "findings"),
    "load": ("load", "sync", "removed"),
    "verify": ("verification", "reconciliation"),
}


def supersede(run: Run, phase: str) -> None:
    """A phase begins: what an earlier one, or an earlier run, has said of it and of what comes
    after it holds no longer. The last words go first: whenever this is cut short, no verdict
    stands that what lies before it does not bear out."""
    for later in reversed(PHASE_NAMES[PHASE_NAMES.index(phase) :]):
        run.workspace.set_aside(*_REPORTS.get(later, ()))
    for path in map(run.workspace.differences, ENTITY_NAMES):
        with storage_errors(path):
            path.unlink(missing_ok=True)


def take_up(run: Run) -> None:
    """The run is at work from now on: how it ended before no longer holds.

    Not saved yet: until S9 has answered, what was known of an earlier run stays known.
    """
    run.manifest.outcome = None
    run.manifest.stopped = ""


def where_it_stopped(run: Run) -> str:
    """One line: which run stopped where, and why."""
    return stopping_place(run.manifest, run.checkpoint.load())


def stopping_place(manifest: Manifest, saved: Checkpoint | None) -> str:
    """The same of a manifest and the checkpoint beside it."""
    why = manifest.stopped or "it was killed, or the machine went down, or the disk was full"
    if manifest.outcome in (ExitCode.DONE, ExitCode.QUARANTINED):
        why = "it had ended, but settings or files have changed since"
    if saved is not None:
        total = counted(saved.total, saved.unit.removesuffix("s"))
        place = f"in {saved.phase}, {saved.entity}, {saved.done:,} of {total}"
    else:
        done = [
            f"{phase} of {name}"
            for phase in PHASE_NAMES
            for name, entry in manifest.phases.get(phase, {}).items()
            if entry.status == COMPLETE
        ]
        place = f"after {done[-1]}" if done else "in its first phase"
    return f"run {manifest.run_id} stopped {place}: {why.rstrip(':')}"


@contextmanager
def recording_why_it_stops(run: Run, *, looks: bool = False) -> Iterator[None]:
    """Keep the reason for the operator, for the log files, and for the run that resumes. Who only
    `looks` at what a run has done leaves it as finished, or not, as it was."""

    def stop(code: ExitCode, reason: str) -> None:
        if not (looks or run.is_at_rest):
            stop_with(run, code, reason)

    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        stop(ExitCode.INTERRUPTED, "interrupted by the operator")
        where = f"interrupted in {run.progress.phase or 'verify'}" if looks else ""
        raise RunInterrupted(
            where or where_it_stopped(run), remedy=f"resume: {invocation.again()}"
        ) from error
    except MigrationError as error:
        _log(error.message, {"remedy": error.remedy})
        stop(error.exit_code, error.message.splitlines()[0])
        raise
    except Exception as error:
        if refused := of_the_machine(error):
            _log(refused.message, {"remedy": refused.remedy, "traceback": traceback_of(error)})
            stop(refused.exit_code, refused.message)
            raise refused from error
        _log(f"unexpected {type(error).__name__}", {"traceback": traceback_of(error)})
        stop(ExitCode.FAILED, f"unexpected {type(error).__name__}")
        raise MigrationError(
            f"an unexpected error stopped the run: {type(error).__name__}",
            remedy="this is a defect of the tool: please report it with the end of "
            f"{run.workspace.error_log}; then run: {invocation.again()}",
        ) from error


def _log(message: str, context: dict[str, str]) -> None:
    """Put an error into the log files; the screen gets it when the command ends."""
    logger.get_logger().error("%s", message, extra={"files_only": True, "context": context})


_ENDS = {
    ExitCode.VALIDATION_FAILED: "validation found errors",
    ExitCode.VERIFICATION_FAILED: "the target differs from what was sent",
}


def end(run: Run, code: ExitCode, why: str = "") -> None:
    """Record that a run has come to its end; `why` when that is not the end of the migration."""
    run.manifest.outcome = code
    run.manifest.stopped = why or _ENDS.get(code, "")
    run.save()
    run.is_at_rest = True


def end_by_hand(run: Run, phase: str, code: ExitCode, why: str = "") -> None:
    """Record that a phase by hand is over, which is the run's end when it is the last proof."""
    verified = run.manifest.phases.get("verify", {})
    if phase == "verify" and all(
        name in verified and verified[name].status == COMPLETE for name in ENTITY_NAMES
    ):
        end(run, code, why)
    elif run.manifest.outcome in (None, ExitCode.FAILED, ExitCode.INTERRUPTED):
        run.manifest.outcome = None
        run.manifest.stopped = why or f"phase {phase} was run by hand, and other phases remain"
        run.save()


def stop_with(run: Run, code: ExitCode, reason: str) -> None:
    """Put why a run stopped into the manifest, if the disk still takes it, and unless it has not
    begun and an earlier one is known there."""
    run.manifest.outcome = code
    run.manifest.stopped = reason
    if run.manifest.begun or not run.workspace.manifest.exists():
        with suppress(MigrationError):
            run.save()


def bind(manifest: Manifest, config: Config, root: Path) -> None:
    """Tie the data directory to one source and one target, for good."""
    wanted: dict[str, dict[str, Any]] = {
        "source": config.source.identity(),
        "target": config.target.identity(),
    }
    for side, identity in wanted.items():
        known: dict[str, Any] = getattr(manifest, side)
        if known and known != identity:
            differences = ", ".join(
                f"{key} was {known.get(key)} and is {identity[key]}"
                for key in identity
                if known.get(key) != identity[key]
            )
            raise ConfigurationError(
                f"{root} holds the migration of another {side}: {differences}",
                remedy="give this migration its own data.directory, or correct the configuration",
            )
        setattr(manifest, side, identity)
