"""How a command stands that works, or has worked, on a data directory: for somebody who looks from
outside.

Everything is read from files, nothing is locked, created or written: who is looked at does not
notice. docs/reports.md has the document that `--json` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from utils.checkpoint import Checkpoint, CheckpointFile
from utils.config import json_name
from utils.error_handler import ArtifactError, ExitCode
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.ownership import CUTOVER, Ownership, ownership_of
from utils.run.clean import nested
from utils.run.following import Following
from utils.run.lifecycle import stopping_place
from utils.run.lock import held_by
from utils.run.manifest import Manifest
from utils.telemetry.event_file import EventReader
from utils.telemetry.events import Told
from utils.telemetry.picture import Picture, StepPicture
from utils.wording import invocation
from utils.wording.figures import moment_text
from utils.working_copy.record import at_work_elsewhere

NONE, RUNNING, STOPPED, FINISHED = "none", "running", "stopped", "finished"
_ENDS = (
    ExitCode.DONE,
    ExitCode.VALIDATION_FAILED,
    ExitCode.VERIFICATION_FAILED,
    ExitCode.QUARANTINED,
)
_REHEARSES, _SHOWS = "dry-run", "demo"
_FORETOLD = (
    "Planned: "  # a dry run that has come to its end, with the exit code of what it foretells
)
_RESTORES = "restore"
_BY_HAND, _PROVES = "phase", "verify"
_BESIDE = ("backup", _RESTORES, "rollback")  # commands that are no run


@dataclass(frozen=True)
class Throttling:
    """A table or an index that was short; `seconds` is how long writing has waited for it."""

    by: str
    reason: str
    times: int
    seconds: float


@dataclass(frozen=True)
class StepStatus:
    """One step: how far it is in its `unit`, how fast, and what was in its way. `state` is
    `running`, `done`, `failed`, `stopped` or `skipped`."""

    phase: str
    entity: str
    step: str
    state: str
    done: int
    total: int | None
    unit: str
    errors: int
    retries: int
    per_second: float
    seconds: float
    seconds_left: float | None
    in_flight: int | None
    write_units: float
    read_units: float
    bytes: int
    throttled: tuple[Throttling, ...]


@dataclass(frozen=True)
class FollowingStatus:
    """How S9's log is followed (utils/run/following.py)."""

    in_step_as_of: str | None
    since: str
    seen_at: str
    passes: int
    records: int
    records_per_minute: float
    lag_seconds: float
    waiting_since: str | None
    retained_bytes: int
    trouble: str


@dataclass(frozen=True)
class FleetTasks:
    """What became of a fleet's tasks in a phase: how many have ended, and how many were lost and
    done again."""

    phase: str
    ended: int
    lost: int


@dataclass(frozen=True)
class FleetStatus:
    """Machines that share the work, as they were last; `is_there` until they are let go."""

    software: str
    master: str
    machines: int
    executors: int
    cores: int
    tasks: int
    is_there: bool
    phases: tuple[FleetTasks, ...]


@dataclass(frozen=True)
class Status:
    """How it stands in a data directory. `state` is `none`, `running`, `stopped` or `finished`;
    `words` say it in a sentence, `sentence` is the last line with which it has ended; `next` is
    what to type after it was stopped; `cutover` says who owns the data, and how far the switch
    is."""

    directory: str
    state: str
    words: str
    run_id: str = ""
    command: str = ""
    pid: int | None = None
    began_at: str | None = None
    last_event_at: str | None = None
    seconds: float | None = None
    exit_code: int | None = None
    sentence: str = ""
    next: str = ""
    to_come: tuple[str, ...] = ()
    not_ready: tuple[str, ...] = ()
    steps: tuple[StepStatus, ...] = ()
    fleet: FleetStatus | None = None
    following: FollowingStatus | None = None
    cutover: Ownership = field(default_factory=Ownership)

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return {"version": 1, **_camel(self)}


@dataclass
class Watcher:
    """Looks at a data directory, again and again if need be; `also` gets every event that comes."""

    files: Workspace
    picture: Picture = field(default_factory=Picture)
    also: Callable[[Told], object] | None = None

    def __post_init__(self) -> None:
        self._reader = EventReader(self.files.events)

    def look(self, now: float) -> Status:
        """How it stands now. Raises StorageError when that cannot be read, ArtifactError when it is
        damaged."""
        holder = held_by(self.files.lock)
        with storage_errors(self.files.events):
            for told in self._reader.poll():
                self.picture.take(told)
                if self.also is not None:
                    self.also(told)
        # Who has ended or begun since the first look must not be taken for one that was killed.
        holder = holder or held_by(self.files.lock)
        with storage_errors(self.files.manifest):
            manifest = Manifest.load(self.files.manifest)
        if holder is not None and not (self.picture.finished and holder == self.picture.pid):
            return self._of(RUNNING, now, manifest, pid=holder, words=self._at_work(holder))
        if elsewhere := at_work_elsewhere(self.files.root):
            return self._of(RUNNING, now, manifest, words=f"{self._which()} {elsewhere}")
        if not self.picture.command and (manifest is None or not manifest.begun):
            words = f"No run has begun in {self.files.root}"
            return Status(str(self.files.root), NONE, words, cutover=ownership_of(self.files))
        return self._ended(now, manifest)

    @property
    def last_news(self) -> float:
        """When something was told last, or written by a version that told nothing, in seconds since
        1970; 0 when nothing ever was."""
        if self.picture.last or not self.files.manifest.exists():
            return self.picture.last
        return self.files.manifest.stat().st_mtime

    def _at_work(self, pid: int) -> str:
        which = self._which() if pid == self.picture.pid else "A command"
        return f"{which} is at work in {self.files.root} (process {pid})"

    def _which(self, run: str = "") -> str:
        """The run, and in brackets the command; of what is no run, the command."""
        run, command = run or self.picture.run, self.picture.command
        if not run or command in _BESIDE:
            return f"The {command or 'command'}"
        return f"Run {run} ({command})" if command else f"Run {run}"

    def _ended(self, now: float, manifest: Manifest | None) -> Status:
        """It is over, or what is at work on the directory has told nothing yet."""
        finished = self.picture.finished
        if finished is None and self.picture.command:
            return self._stopped(now, manifest, None)
        code = finished.exit_code if finished else (manifest.outcome if manifest else None)
        if code in _ENDS or (finished and finished.sentence.startswith(_FORETOLD)):
            run = self.picture.run or (manifest.run_id if manifest else "")
            words = f"{self._which(run)} has ended in {self.files.root}, with exit code {code}"
            return self._of(FINISHED, now, manifest, words=words, exit_code=code)
        return self._stopped(now, manifest, code)

    def _stopped(self, now: float, manifest: Manifest | None, code: int | None) -> Status:
        if self._looked_after_the_end(manifest):
            sentence = self.picture.finished.sentence if self.picture.finished else "it was killed"
            where = f"The {_PROVES} of {self._which()} was stopped: {sentence}"
        elif self.picture.command not in _BESIDE and manifest is not None and manifest.begun:
            where = stopping_place(manifest, _checkpoint(self.files))
        else:
            sentence = self.picture.finished.sentence if self.picture.finished else "it was killed"
            where = f"{self._which()} was stopped: {sentence}"
        words = where[:1].upper() + where[1:]
        next_ = self._next(manifest)
        return self._of(STOPPED, now, manifest, words=words, exit_code=code, next_=next_)

    def _looked_after_the_end(self, manifest: Manifest | None) -> bool:
        """Whether the last command has only looked at what a run that had ended has done."""
        return self._proves_by_hand and manifest is not None and manifest.outcome in _ENDS

    @property
    def _proves_by_hand(self) -> bool:
        """Whether the last command was a verification, which is no part of a run."""
        return self.picture.command == _BY_HAND and self.picture.phases[-1:] == (_PROVES,)

    def _next(self, manifest: Manifest | None) -> str:
        """What to type after it was stopped."""
        command = self.picture.command
        if command == _REHEARSES:
            return invocation.for_real("--dry-run")
        if command == _RESTORES:  # of which backup is not known here
            return invocation.for_real("backups")
        if command in (_SHOWS, *_BESIDE):
            return invocation.for_real(command)
        cutover = ownership_of(self.files)
        if cutover.step and not cutover.is_switched:
            return invocation.for_real(CUTOVER)
        if self._proves_by_hand:  # with more phases than one it was by S9 itself
            source = " --from-source" if len(self.picture.phases) > 1 else ""
            return invocation.for_real(f"--phase {_PROVES}{source}")
        begun = manifest is not None and manifest.begun
        return invocation.for_real("--resume" if begun else "--full")

    def _of(
        self,
        state: str,
        now: float,
        manifest: Manifest | None,
        *,
        words: str,
        pid: int | None = None,
        exit_code: int | None = None,
        next_: str = "",
    ) -> Status:
        picture = self.picture
        until = now if state == RUNNING else picture.last
        if state != RUNNING:
            picture.stops()
        seconds = picture.finished.seconds if picture.finished else until - picture.began
        return Status(
            directory=str(self.files.root),
            state=state,
            words=words,
            run_id=picture.run or (manifest.run_id if manifest else ""),
            command=picture.command,
            pid=pid,
            began_at=_moment(picture.began),
            last_event_at=_moment(picture.last),
            seconds=round(seconds, 3) if picture.began else None,
            exit_code=exit_code,
            sentence=picture.finished.sentence if picture.finished and not pid else "",
            next=next_,
            to_come=_to_come(picture) if state == RUNNING else (),
            not_ready=tuple(" is ".join(each) for each in picture.not_ready),
            steps=tuple(_step(each, until) for each in picture.steps),
            fleet=_fleet(picture),
            following=_following(self.files),
            cutover=ownership_of(self.files),
        )


def _fleet(picture: Picture) -> FleetStatus | None:
    """How the machines stand that share the work; None where none do."""
    fleet = picture.fleet
    if fleet is None:
        return None
    tried = (FleetTasks(phase, each.ended, each.lost) for phase, each in fleet.phases.items())
    return FleetStatus(
        fleet.software,
        fleet.master,
        fleet.machines,
        fleet.executors,
        fleet.cores,
        fleet.tasks,
        fleet.is_there,
        tuple(tried),
    )


def _following(files: Workspace) -> FollowingStatus | None:
    """How the log is followed, None where it is not, or nobody can tell."""
    with suppress(ArtifactError):
        known = Following.load(files.following)
        if known.name:
            return FollowingStatus(
                in_step_as_of=None if known.is_behind else known.snapshot,
                since=known.since,
                seen_at=known.at,
                passes=known.passes,
                records=known.records,
                records_per_minute=round(known.records_per_minute, 1),
                lag_seconds=known.lag,
                waiting_since=known.oldest or None,
                retained_bytes=known.retained,
                trouble=known.trouble,
            )
    return None


def watchers(root: Path) -> list[Watcher]:
    """Of a data directory and those inside it (of a rehearsal, of the demonstration)."""
    files = Workspace(root)
    with storage_errors(root):
        inner = nested(files).values() if root.is_dir() else ()
    return [Watcher(each) for each in (files, *inner)]


def latest(found: Sequence[tuple[Watcher, Status]]) -> tuple[Watcher, Status]:
    """The one that is at work, or else the one that has told something last."""
    return max(
        found,
        key=lambda each: (each[1].state == RUNNING, each[1].state != NONE, each[0].last_news),
    )


def _checkpoint(files: Workspace) -> Checkpoint | None:
    """The checkpoint, None where there is none that can be used: who resumes is told why."""
    with suppress(ArtifactError), storage_errors(files.checkpoint):
        return CheckpointFile(files.checkpoint).load()
    return None


def _to_come(picture: Picture) -> tuple[str, ...]:
    """The phases that have not begun: a look ahead (at the tables, before all) is no begin."""
    begun = [each.step.phase for each in picture.steps if not each.step.name]
    last = max((picture.phases.index(each) for each in begun if each in picture.phases), default=-1)
    return picture.phases[last + 1 :]


def _step(picture: StepPicture, now: float) -> StepStatus:
    left = picture.left(now)
    return StepStatus(
        phase=picture.step.phase,
        entity=picture.step.entity,
        step=picture.step.name,
        state=picture.state,
        done=picture.count.done,
        total=picture.count.total,
        unit=picture.count.unit,
        errors=picture.count.errors,
        retries=picture.retries,
        per_second=round(picture.rate(now), 3),
        seconds=round(picture.elapsed(now), 3),
        seconds_left=None if left is None else round(left, 1),
        in_flight=picture.in_flight if picture.is_running else None,
        write_units=picture.count.write_units,
        read_units=picture.count.read_units,
        bytes=picture.count.bytes,
        throttled=tuple(
            Throttling(by, waited.reason, waited.times, round(waited.seconds, 3))
            for by, waited in picture.waited.items()
        ),
    )


def _moment(seconds: float) -> str | None:
    if not seconds:
        return None
    return moment_text(datetime.fromtimestamp(seconds, timezone.utc))


def _camel(value: Any) -> dict[str, Any]:
    return dict(_named(value))


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    for name, inner in vars(value).items():
        if isinstance(inner, (FleetStatus, FollowingStatus)):
            yield json_name(name), _camel(inner)
        elif isinstance(inner, Ownership):
            yield name, inner.as_json()
        elif isinstance(inner, tuple):
            yield (
                json_name(name),
                [each if isinstance(each, str) else _camel(each) for each in inner],
            )
        else:
            yield json_name(name), inner
