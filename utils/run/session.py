"""Work on a data directory that is no run of the migration: a backup on demand, a restore."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from utils import logger
from utils.config import Config
from utils.error_handler import MigrationError, RunInterrupted
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted, StopFlag
from utils.ownership import require_s9_owns
from utils.processes.pool import Workers, available_cores
from utils.progress import Display
from utils.run.lifecycle import Screen, mask_key
from utils.run.lock import held_by, run_lock
from utils.run.manifest import Manifest
from utils.settings.environment import make_room
from utils.telemetry.cloudwatch.beside import close_cloudwatch, open_cloudwatch
from utils.telemetry.command_events import command_told
from utils.telemetry.events import EventStream
from utils.telemetry.tasks import Tasks
from utils.telemetry.worked_on import works_on
from utils.wording import invocation, masking
from utils.working_copy.at_work import at_work_in, bring
from utils.working_copy.place import place_of


class AtWork(Protocol):
    """What work on a data directory needs, be it in a run or in a session."""

    @property
    def config(self) -> Config: ...
    @property
    def workspace(self) -> Workspace: ...
    @property
    def progress(self) -> Tasks: ...
    @property
    def events(self) -> EventStream: ...
    @property
    def stop(self) -> StopFlag: ...
    @property
    def workers(self) -> Workers: ...
    def command(self, options: str) -> str:
        """The command line that an operator types for `options`."""


@dataclass
class Session:
    """A secondary command at work."""

    config: Config
    workspace: Workspace
    progress: Tasks
    stop: StopFlag = field(default_factory=StopFlag)
    workers: Workers = field(init=False)

    def __post_init__(self) -> None:
        self.workers = Workers(self.config.migration.processes or available_cores())

    @property
    def events(self) -> EventStream:
        """Where whoever works tells what happens."""
        return self.progress.events

    def command(self, options: str) -> str:
        return invocation.command(options)


def _run_in(files: Workspace) -> str:
    """The run that the data directory is of, "" where that cannot be told."""
    with suppress(MigrationError):
        manifest = Manifest.load(files.manifest)
        return manifest.run_id if manifest else ""
    return ""


@contextmanager
def open_session(
    config: Config, screen: Screen, again: str, *, undoes: bool = False
) -> Iterator[Session]:
    """Lock the data directory and open its logs; `again` are the words to type after a stop. It
    `undoes`: it puts the target back to what it was by S9.

    Raises MigrationError when a run is at work there, or when it would undo what the Sale Module
    has done since it owns the data.
    """
    make_room()
    files = Workspace(Path(config.data.directory))
    files.prepare()
    logger.set_up_screen(
        config.logging, verbose=screen.verbose, quiet=screen.quiet, color=screen.color
    )
    stop = StopFlag()
    with run_lock(files.lock), at_work_in(config, files.root, stop):
        if undoes:
            require_s9_owns(files, f"`{again.partition(' ')[0]}`")
        works_on(files.root, config)
        files.set_pages_aside()
        masking.set_up(mask_key(files), personal=config.logging.mask_personal_data)
        invocation.goes_on_with(again)
        session = Session(config, files, Tasks(EventStream(_run_in(files))), stop)
        display = Display(quiet=screen.quiet, color=screen.color)
        session.events.listen(display)
        logger.set_up_files(config.logging, files.log, files.error_log, session.events.run)
        open_cloudwatch(config, session.events.run, session.events)
        session.stop.install()
        try:
            command = again.partition(" ")[0]
            with (
                display,
                session.workers,
                command_told(files, session.progress, command, phases=[command]),
            ):
                yield session
        except (Interrupted, KeyboardInterrupt) as error:
            raise RunInterrupted(
                "interrupted by the operator", remedy=f"resume: {invocation.again()}"
            ) from error
        finally:
            shutil.rmtree(files.scratch, ignore_errors=True)
            close_cloudwatch()
            logger.close_logs()


def bring_files(config: Config, *, everything: bool = False) -> None:
    """Get what there is to look at in the data directory, or `everything`, from the place in S3
    where it is kept. While a command of this machine is at work, nothing is newer than what is
    here. Raises as utils/working_copy/at_work.py says."""
    if place_of(config) is None:
        return
    files = Workspace(Path(config.data.directory))
    files.prepare()
    if held_by(files.lock) is None:
        with run_lock(files.lock):
            bring(config, everything=everything)


@contextmanager
def keeping_files(config: Config) -> Iterator[None]:
    """Where the files are kept in S3, be at work there for as long as a command needs that opens
    the data directory more than once. Raises as utils/working_copy/at_work.py says."""
    if place_of(config) is None:
        yield
        return
    files = Workspace(Path(config.data.directory))
    files.prepare()
    with ExitStack() as stack:
        with run_lock(files.lock):
            stack.enter_context(at_work_in(config, files.root))
        yield
