"""A run: what every phase is given, and how a phase's completeness is judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson

from utils.checkpoint import Checkpoint, CheckpointFile, Tracker
from utils.config import PHASE_NAMES, SPARK, Config, DataInS3
from utils.dynamodb.backoff import RetryPolicy
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError
from utils.files.artifacts import (
    ArtifactEntry,
    ArtifactWriter,
    check_artifact,
    expected_artifact,
    sha256_of,
    utc_now,
)
from utils.files.known_files import FileStamp, KnownFiles
from utils.files.parts import Part, file_of, sha256_of_parts, tidy, totals, write_list
from utils.files.storage import partial_of, publish
from utils.files.workspace import Workspace
from utils.fleet.engines import Engine
from utils.fleet.fleet import Fleet
from utils.fleet.members import FleetMembers
from utils.interrupt import Interrupted, StopFlag
from utils.processes.pieces_runner import PiecesRunner, ThisProcess
from utils.processes.pool import Workers, available_cores
from utils.run.manifest import Manifest, PhaseEntry
from utils.telemetry.events import CheckpointSaved, EventStream, Step
from utils.telemetry.tasks import Tasks
from utils.version import this_tool
from utils.wording import invocation

COMPLETE = "complete"
FAILED = "failed"
_TAKES_A_WHILE = 64 << 20  # bytes that are read for a SHA-256


class Written(Protocol):
    """What has been written to the partial name of a file, to replace it."""

    def entry(self) -> ArtifactEntry:
        """Make everything durable; returns the manifest entry that the file is going to have."""


@dataclass
class Run:
    """One invocation at work on one data directory.

    With `resuming`, a phase continues from the checkpoint if there is one for it. The manifest is
    kept on disk unless the one that is there is damaged and to be left alone (`keeps_manifest`).
    While it `is_at_rest`, what its manifest tells of is over, or has not begun: what ends the
    process then stops nothing of it. It writes `after_switch` where it was told to, although the
    Sale Module owns the data. It `keeps_place_in` some phases by checkpoints. Unless it
    `is_durable`, its files need not outlive a machine that goes down.
    """

    config: Config
    workspace: Workspace
    manifest: Manifest
    progress: Tasks = field(default_factory=Tasks)
    stop: StopFlag = field(default_factory=StopFlag)
    resuming: bool = False
    known_files: KnownFiles = field(default_factory=KnownFiles)
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    keeps_manifest: bool = True
    is_at_rest: bool = False
    after_switch: bool = False
    keeps_place_in: Collection[str] = PHASE_NAMES
    is_durable: bool = True
    in_flight: int | None = None  # batches at once with which the load before this one has ended
    workers: Workers = field(init=False)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        policy = RetryPolicy.of(self.config.migration, self.stop.sleep)
        files = self.workspace
        self.engine = Engine(
            self.config.engine, policy, files.engine_log, files.scratch, self.progress
        )
        self.workers = Workers(self.config.migration.processes or available_cores())
        if self.config.engine.type == SPARK:
            in_s3 = isinstance(self.config.data, DataInS3)
            self.workers = FleetMembers(self.engine, self.workers, stays_here=in_s3)

    @property
    def events(self) -> EventStream:
        """Where whoever works tells what happens."""
        return self.progress.events

    @property
    def runner(self) -> PiecesRunner:
        """Who runs the pieces of a phase's pure work. Raises ConfigurationError as `fleet`."""
        return self.fleet or (self.workers if self.workers.at_once > 1 else ThisProcess())

    @property
    def fleet(self) -> Fleet | None:
        """The machines that share the work of phases, if it is not this one alone. Raises
        ConfigurationError when the engine that is configured cannot be used here."""
        return self.engine.fleet

    def command(self, options: str) -> str:
        """The command line that an operator types for `options`."""
        return invocation.command(options)

    @property
    def checkpoint(self) -> CheckpointFile:
        return CheckpointFile(self.workspace.checkpoint)

    def artifact(self, path: Path, *, written_by: str, anew: bool = False) -> ArtifactEntry:
        """The manifest entry of a file, after checking that the file is what it says. With `anew`
        it is read for that, even if this run knows it already (utils/files/known_files.py)."""
        entry = self.manifest.artifacts.get(self.workspace.name_of(path))
        known = None if anew else self.known_files
        if (
            entry is None
            or entry.bytes < _TAKES_A_WHILE
            or (known and known.knows(path, entry.sha256))
        ):
            return check_artifact(path, entry, phase=written_by, known=known)
        with self.progress.task(
            self.progress.phase or written_by,
            path.stem,
            entry.bytes,
            unit="bytes",
            step="checking the file",
        ) as task:
            checked = check_artifact(path, entry, phase=written_by, known=known)
            task.advance(entry.bytes, bytes=entry.bytes)
            return checked

    def expected(self, path: Path, *, written_by: str) -> ArtifactEntry:
        """The manifest entry of a file, after a look at its size only."""
        entry = self.manifest.artifacts.get(self.workspace.name_of(path))
        return expected_artifact(path, entry, phase=written_by)

    @contextmanager
    def proving(self, path: Path, *, written_by: str) -> Iterator[None]:
        """Check a file as `artifact` does with `anew`, beside what is done with it here. The end is
        waited for; a file that is not what the manifest says is the error, whatever else was."""
        entry = self.manifest.artifacts.get(self.workspace.name_of(path))
        work = partial(check_artifact, entry=entry, phase=written_by)
        with self._beside(work, path, entry.bytes if entry else 0) as wait_for_it:
            try:
                yield
            except Interrupted:
                raise
            except Exception:
                wait_for_it()
                raise
            wait_for_it()

    @contextmanager
    def _beside(
        self, work: Callable[[Path], object], path: Path, size: int
    ) -> Iterator[Callable[[], object]]:
        """Have a file of so many bytes read by `work` beside what is done here: by the fleet, where
        it sees files and this one takes a while, or by a thread. Yields how to wait for the end."""
        fleet = self.fleet if size >= _TAKES_A_WHILE else None
        if fleet is not None and fleet.sees_files:
            with closing(fleet.beside(work, [path])) as begun:
                yield lambda: list(begun.results(self.stop.leave_if_asked))
        else:
            with ThreadPoolExecutor(1, thread_name_prefix="proof") as beside:
                yield beside.submit(work, path).result

    def commit(self, path: Path, writer: ArtifactWriter) -> None:
        """Publish what has been written, on disk and in the manifest (call `save` to make that
        durable)."""
        entry = writer.commit(durable=self.is_durable)
        self.publish(path, entry)
        if writer.last_look is not None:
            self.known_files.has_written(path, entry.sha256, writer.last_look)

    def commit_parts(self, path: Path, parts: Sequence[Part]) -> None:
        """Make the artifact at `path` what these parts are, one after the other, on disk and in the
        manifest (call `save` to make that durable). Raises ArtifactError for a part of another size
        than was written, Interrupted when a stop is asked for."""
        files = [file_of(path, part) for part in parts]
        before = [FileStamp.of(file) for file in files]
        sha256 = sha256_of_parts(path, parts, self.stop.leave_if_asked)
        write_list(path, parts)
        self.publish(path, ArtifactEntry(*totals(parts), sha256, utc_now()))
        if [FileStamp.of(file) for file in files] == before:
            self.known_files.has_listed(path, sha256)

    def publish(self, path: Path, entry: ArtifactEntry) -> None:
        """Put a file's entry into the manifest (call `save` to make it durable)."""
        self.manifest.artifacts[self.workspace.name_of(path)] = entry

    def replace(self, *files: tuple[Path, Written]) -> None:
        """Publish new versions of files that the manifest knows, together with whatever else has
        been recorded since the last `save`: all or nothing, also when killed in between."""
        self.manifest.coming = {
            self.workspace.name_of(path): writer.entry() for path, writer in files
        }
        self.save()
        self.settle()

    def settle(self) -> None:
        """Finish a replacement, be it one that was cut short."""
        if not self.manifest.coming:
            return
        for name, entry in self.manifest.coming.items():
            path = self.workspace.root / name
            partial = partial_of(path)
            if partial.exists() and sha256_of(partial) == entry.sha256:
                publish(path)
                tidy(path)
            self.manifest.artifacts[name] = entry
        self.manifest.coming = {}
        self.save()

    def sha_of(self, *paths: Path) -> dict[str, str]:
        """The SHA-256 of files by manifest name, as a phase entry's `inputs`."""
        names = [self.workspace.name_of(path) for path in paths]
        return {name: self.manifest.sha_of(name) for name in names}

    def begin(self, phase: str, entity: str, inputs: Mapping[str, str]) -> Checkpoint | None:
        """A phase is about to run for an entity: its old outcome no longer holds.

        Returns the checkpoint to resume from, None to start over (also when it was made for files
        that have been written again since). The checkpoint of a place further on stays: the run
        will come to it.
        """
        self.manifest.forget(phase, entity)
        self.save()
        saved = self.checkpoint.load()
        if saved is None or _is_further(saved, phase, entity):
            return None
        here = (saved.phase, saved.entity) == (phase, entity)
        if self.resuming and here and saved.inputs == dict(inputs):
            return saved
        self.checkpoint.clear()
        return None

    def check_checkpoint(self) -> None:
        """Raise ArtifactError when there is a checkpoint that must not be used."""
        saved = self.checkpoint.load()
        if saved is None:
            return
        now = configuration_digests(self.config)
        changed = [name for name, digest in now.items() if saved.configuration.get(name) != digest]
        anew = self.command("--full --restart")
        if changed:
            raise ArtifactError(
                f"the unfinished run {saved.run_id} was made with another configuration: "
                f"{', '.join(changed)} changed",
                remedy=f"put the configuration back and run {self.command('--resume')}; or start "
                f"over: {anew}",
            )
        if saved.run_id != self.manifest.run_id:
            raise ArtifactError(
                f"the checkpoint in {saved.phase}, {saved.entity} belongs to another run "
                f"({saved.run_id})",
                remedy=f"start over: {anew}",
            )

    def track(
        self,
        phase: str,
        entity: str,
        inputs: Mapping[str, str],
        *,
        total: int,
        unit: str,
        done: int = 0,
    ) -> Tracker:
        """The keeper of the checkpoint of one phase in one entity of `total` `unit`."""

        def place(done: int, state: Mapping[str, Any]) -> Checkpoint:
            return Checkpoint(
                run_id=self.manifest.run_id,
                phase=phase,
                entity=entity,
                configuration=configuration_digests(self.config),
                inputs=dict(inputs),
                done=done,
                total=total,
                unit=unit,
                at=utc_now(),
                state=state,
            )

        saved = self.checkpoint.load()
        settings = self.config.checkpoint
        further = saved is not None and _is_further(saved, phase, entity)
        if further or phase not in self.keeps_place_in:
            settings = replace(settings, enabled=False)
        step = Step(phase, entity)
        return Tracker(
            self.checkpoint,
            settings,
            self.stop,
            place,
            done=done,
            tell=lambda done: self.events.emit(CheckpointSaved(step=step, done=done)),
        )

    def finish(
        self,
        phase: str,
        entity: str,
        *,
        inputs: Mapping[str, str],
        settings: str,
        result: Mapping[str, Any],
        status: str = COMPLETE,
    ) -> PhaseEntry:
        """Record that a phase has done an entity, durably; returns the entry."""
        entry = PhaseEntry(status, utc_now(), dict(inputs), settings, dict(result))
        self.manifest.record(phase, entity, entry)
        self.save()
        self.leave(phase, entity)
        return entry

    def leave(self, phase: str, entity: str) -> None:
        """A place is done with: its checkpoint goes, one of a place further on stays."""
        saved = self.checkpoint.load()
        if saved is None or not _is_further(saved, phase, entity):
            self.checkpoint.clear()

    def fail(self, phase: str, entity: str, reason: str) -> None:
        """Record that a phase could not do an entity at all; its checkpoint stays."""
        entry = PhaseEntry(FAILED, utc_now(), result={"reason": reason})
        self.manifest.record(phase, entity, entry)
        self.save()

    def is_complete(
        self, phase: str, entity: str, *, inputs: Mapping[str, str], settings: str
    ) -> bool:
        """Whether the recorded outcome is for exactly these inputs and settings."""
        entry = self.manifest.phase(phase, entity)
        return (
            entry is not None
            and entry.status == COMPLETE
            and entry.inputs == dict(inputs)
            and entry.settings == settings
        )

    def report_head(self) -> dict[str, Any]:
        """What every report opens with: which run, when, written by which tool, and whether S9 was
        read as of one moment."""
        snapshot = self.manifest.snapshot
        return {
            "runId": self.manifest.run_id,
            "at": utc_now(),
            "tool": this_tool(),
            "snapshot": {name: snapshot.get(name) for name in ("consistent", "statement")},
        }

    def save(self) -> None:
        if self.keeps_manifest:
            self.manifest.save(self.workspace.manifest)


def _is_further(saved: Checkpoint, phase: str, entity: str) -> bool:
    """Whether a checkpoint is of a place that a run reaches after this phase and entity."""

    def order(phase: str, entity: str) -> tuple[int, int]:
        return PHASE_NAMES.index(phase), ENTITY_NAMES.index(entity)

    return order(saved.phase, saved.entity) > order(phase, entity)


def configuration_digests(config: Config) -> dict[str, str]:
    """A digest of each section that shapes what a run does to which data."""
    return {
        "source": settings_digest(config.source.identity()),
        "target": settings_digest(config.target.identity()),
        "extraction": settings_digest(config.extraction),
        "transformation": settings_digest(config.transformation, config.source.timezone),
        "validation": settings_digest(config.validation),
    }


def settings_digest(*sections: Any) -> str:
    """A digest of configuration sections (dataclasses) or plain values.

    Secrets must not be among them: a digest of a short password could be guessed.
    """
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in sections]
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]
