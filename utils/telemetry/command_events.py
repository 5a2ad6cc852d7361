"""A command from its begin to its end, for the stream of events."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from utils.error_handler import ExitCode, MigrationError
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted
from utils.telemetry.event_file import EventFile
from utils.telemetry.events import RunBegun, RunFinished
from utils.telemetry.tasks import Tasks
from utils.telemetry.troubles import take_troubles
from utils.version import VERSION


@contextmanager
def command_told(
    files: Workspace,
    progress: Tasks,
    command: str,
    *,
    phases: Sequence[str],
    entities: Sequence[str] = (),
) -> Iterator[None]:
    """Tell that a command begins and how it ends; as long as it lasts, all that is told goes into
    the data directory's file of events."""
    take_troubles()  # those of before
    file = EventFile(files.events)
    progress.events.go_on_after(file.last)
    progress.events.listen(file)
    began = time.monotonic()
    tell_begin(progress, command, phases, entities)
    try:
        yield
    except BaseException as error:
        progress.conclude(*_end_of(error))
        raise
    finally:
        progress.events.emit(
            RunFinished(
                exit_code=progress.exit_code,
                sentence=progress.sentence,
                seconds=time.monotonic() - began,
            )
        )
        file.close()


def tell_begin(
    progress: Tasks, command: str, phases: Sequence[str], entities: Sequence[str] = ()
) -> None:
    """Tell that a command begins, or another pass of one that goes on and on."""
    progress.events.emit(
        RunBegun(
            command=command,
            phases=tuple(phases),
            entities=tuple(entities),
            pid=os.getpid(),
            version=VERSION,
        )
    )


def _end_of(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code and the words with which an error ends a command."""
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return ExitCode.INTERRUPTED, "interrupted by the operator"
    if isinstance(error, MigrationError):
        return error.exit_code, error.message
    return ExitCode.FAILED, f"unexpected {type(error).__name__}"
