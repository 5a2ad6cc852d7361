"""Errors, grouped by what happens next: stop, back off, or quarantine.

The type of an error decides the recovery, never its text. Every error that an operator can meet
carries a remedy: the sentence that says what to type or change next.
"""

from __future__ import annotations

import enum
import os
import traceback

from utils.wording import invocation
from utils.wording.masking import mask, scrub


class ExitCode(enum.IntEnum):
    """What the process tells its caller; the numbers are part of the public interface."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    VALIDATION_FAILED = 3
    VERIFICATION_FAILED = 4
    QUARANTINED = 5
    INTERRUPTED = 130


class MigrationError(Exception):
    """The run stops. `message` says what happened and to what, `remedy` what to do next.

    Both are freed of secrets and personal data, because they may quote what others have worded.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, remedy: str) -> None:
        self.message = scrub(message)
        self.remedy = scrub(remedy)
        super().__init__(self.message)


class ConfigurationError(MigrationError):
    """The configuration or the command line is wrong; nothing has been connected to."""

    exit_code = ExitCode.USAGE


class SourceError(MigrationError):
    """S9 cannot be read: connection, rights, a table or a column."""


class SourceUnavailable(SourceError):
    """No connection to S9 can be opened (now)."""


class TargetError(MigrationError):
    """DynamoDB cannot be used: credentials, tables, keys, indexes, a refused request."""


class ArtifactError(MigrationError):
    """A file under the data directory is missing, damaged, or belongs to another run."""


class StorageError(MigrationError):
    """The data directory cannot be written: full disk, rights."""


class RunInterrupted(MigrationError):
    """The operator has stopped the run; it can be resumed."""

    exit_code = ExitCode.INTERRUPTED


class BackOff(Exception):
    """A call failed in a way that passes: try it again after a while.

    `reason` is a short word for the reports (the service's error code, or what the network did);
    `at_least` is for how many seconds whoever was asked wishes to be left alone.
    """

    at_least = 0.0

    def __init__(self, reason: str, detail: str = "") -> None:
        detail = scrub(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Throttled(BackOff):
    """The target asks for a lower rate. `detail` names the table or index where it is known;
    `shortages` have each of them with the reason, as the answer has them."""

    def __init__(
        self, reason: str, detail: str = "", shortages: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(reason, detail)
        self.shortages = shortages


class Rejection(Exception):
    """One record cannot be migrated as it is: it goes to quarantine.

    `field` is the canonical source column (or target attribute), `rule` a short kebab-case name,
    `reason` a sentence that never quotes a personal value.
    """

    def __init__(self, field: str, rule: str, reason: str) -> None:
        super().__init__(f"{field}: {rule}: {reason}")
        self.field = field
        self.rule = rule
        self.reason = reason

    def __reduce__(self) -> tuple[type[Rejection], tuple[str, str, str]]:
        """Rejections cross process boundaries whole."""
        return (type(self), (self.field, self.rule, self.reason))


def of_the_machine(error: BaseException) -> MigrationError | None:
    """What the operating system refuses, and no place in the code has expected it to: with the file
    where it names one, and in its own words. None for an error of another kind."""
    if isinstance(error, RuntimeError) and str(error) != _NO_THREAD:
        return None
    if not isinstance(error, (OSError, MemoryError, RuntimeError)):
        return None
    if isinstance(error, RuntimeError):  # of threading: there is no other way to tell
        return MigrationError(
            "the machine cannot start another thread for this process",
            remedy="allow more (`ulimit -u`), or set migration.workers and migration.processes to "
            f"1; then: {invocation.again()}",
        )
    if isinstance(error, MemoryError):
        return MigrationError(
            "the machine has no memory left for this process",
            remedy="free some, allow the process more, or set migration.processes to 1; then: "
            f"{invocation.again()}",
        )
    what = error.strerror or type(error).__name__
    if error.filename is None:
        message = f"the operating system refuses: {what}"
    else:
        message = f"{os.fsdecode(error.filename)} cannot be used: {what}"
    return StorageError(
        message,
        remedy="check that file, its disk and the limits of this process (`ulimit -a`): the file "
        f"must be a plain one that this user may read and write; then: {invocation.again()}",
    )


_NO_THREAD = "can't start new thread"


class RemoteTraceback(Exception):
    """Where an error arose in another process or thread: what `traceback_of` told there."""


# The texts of these are the tool's own, or name types, attributes, modules and files.
_SPEAKABLE = (
    MigrationError,
    BackOff,
    RemoteTraceback,
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    OSError,
)


def told(error: BaseException) -> str:
    """The type of an exception with its text; of one that may quote a record, the text masked."""
    text = scrub(str(error)) if isinstance(error, _SPEAKABLE) else mask(scrub(str(error)))
    return f"{type(error).__name__}: {text}" if str(error) else type(error).__name__


def traceback_of(error: BaseException) -> str:
    """A traceback for the log files: every place, as Python prints it, and `told` of each
    exception of the chain."""
    parts: list[str] = []
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        places = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        parts.append(f"Traceback (most recent call last):\n{places}{told(error)}")
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None:
            break
        error = before
    return scrub("\n\nwhich came of\n\n".join(parts))
