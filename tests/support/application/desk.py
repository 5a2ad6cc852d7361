"""A desk at which loads are begun, stopped, verified, undone and done again within this process:
hundreds of times faster than a process for each command, on the same servers.

What S9 has is what `records` says (tests/support/records/transformed.py); `--full` writes the
transformed files from it and loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from shutil import copytree, rmtree
from typing import Any

import orjson
import pytest

from load import engine
from load.backup import engine as backup_engine
from load.backup.before_load import back_up_before_load
from load.conflicts.survey import survey_before_load
from load.rollback.engine import Time, foresee, roll_back
from load.rollback.report import Rolled
from load.target.tables import prepare_tables
from tests.support.aws.proxy import Request
from tests.support.records.transformed import TABLES, Migration
from utils.aws import session as aws
from utils.config import LoadConfig, TargetConfig
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode, MigrationError
from utils.files.artifacts import ArtifactWriter
from utils.interrupt import Interrupted, StopFlag
from utils.run.lifecycle import Start, begin, end, recording_why_it_stops
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.sealing import seal
from utils.run.session import Session
from utils.telemetry.tasks import Tasks
from validate.verify.engine import verify
from validate.verify.verification_report import VerificationResult


@dataclass
class Clock:
    """A clock that only goes on when somebody sleeps; `slept` has for how long, and `meanwhile`
    is what happens then."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.meanwhile()

    @property
    def time(self) -> Time:
        return Time(lambda: self.now, self.sleep)


class Patience(StopFlag):
    """A stop that waits by such a clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def sleep(self, seconds: float) -> None:
        if self.requested:
            raise Interrupted
        self._clock.sleep(seconds)


class Desk(Migration):
    """A migration with its commands. `clock` is that of rollbacks, backups and restores."""

    def __post_init__(self) -> None:
        super().__post_init__()
        data = replace(self.config.data, directory=str(self.root))
        migration = replace(self.config.migration, processes=1, continue_on_error=True)
        self.config = replace(self.config, data=data, migration=migration)
        self.clock = Clock()
        self.run: Run | None = None

    def settings(self, *, endpoint: str = "", on_conflict: str = "", **migration: Any) -> None:
        """Change settings."""
        config = self.config
        if endpoint:
            config = replace(config, target=replace(config.target, endpoint=endpoint))
        if on_conflict:
            config = replace(config, load=LoadConfig(on_conflict))
        self.config = replace(config, migration=replace(config.migration, **migration))

    @contextmanager
    def at_work(self, start: Start) -> Iterator[Run]:
        """The run that a command opens."""
        manifest = Manifest.load(self.workspace.manifest) or Manifest.new()
        run = Run(self.config, self.workspace, manifest, Tasks())
        begin(run, start)
        self.run = run
        with run.workers, recording_why_it_stops(run):
            yield run

    def prepare(self, run: Run) -> None:
        """What extract, transform and validate leave."""
        for entity in TABLES:
            self._write_entity(run, entity)
            run.manifest.forget("load", entity)
            rows = [
                {"first_id": int(record[0]["legacyId"]["S"])} for record in self.records[entity]
            ]
            extracted = b"".join(orjson.dumps(row) + b"\n" for row in rows)
            self.workspace.extracted(entity).write_bytes(extracted)
            transformed = run.sha_of(self.workspace.transformed(entity))
            run.finish("validate", entity, inputs=transformed, settings="", result={})
            with ArtifactWriter(self.workspace.quarantine(entity)) as quarantine:
                run.commit(self.workspace.quarantine(entity), quarantine)
        run.save()

    def create_tables(self) -> None:
        prepare_tables(self.config.target, list(TABLES.values()), create=True, sleep=self.nap)

    def load_phase(self, run: Run) -> None:
        """As migrate.py does it."""
        self.create_tables()
        due = [name for name in ENTITY_NAMES if not self._is_loaded(run, name)]
        back_up_before_load(run, due)
        survey_before_load(run, TABLES, due, {})
        for name in due:
            engine.load(run, TABLES[name])

    def seal_for(self, recipient: str, identity: str | None = None) -> None:
        """Encrypt the files of records when a run ends; `identity` opens them."""
        data = replace(self.config.data, recipient=recipient, identity=identity)
        self.config = replace(self.config, data=data)

    def stop(self) -> None:
        """Press Ctrl-C."""
        assert self.run is not None
        self.run.stop.request()

    def killed(self, when: Callable[[], bool]) -> None:
        """`--full`, killed during its load as soon as `when` holds: what is on disk then is all
        that is left of it."""
        left = self.root.with_name("killed")

        def sleep(_self: Any, _seconds: float) -> None:
            if when() and not left.exists():
                copytree(self.root, left)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StopFlag, "sleep", sleep)
            with suppress(MigrationError):
                self.full()
        rmtree(self.root)
        left.rename(self.root)

    def arrives(self, held: Sequence[Request]) -> None:
        """Requests that were held on the way arrive."""
        for request in held:
            self.client.batch_write_item(**orjson.loads(request.body))

    def _is_loaded(self, run: Run, entity: str) -> bool:
        entry = run.manifest.phase("load", entity)
        return run.resuming and entry is not None and entry.status == "complete"

    def full(self, start: Start = Start.ANEW) -> Run:
        """`--full`, without the verification."""
        with self.at_work(start) as run:
            self.prepare(run)
            self.load_phase(run)
            end(run, ExitCode.DONE)
            seal(run)
            return run

    def resume(self) -> Run:
        """`--resume` after a load that was stopped."""
        with self.at_work(Start.RESUME) as run:
            self.load_phase(run)
            end(run, ExitCode.DONE)
            return run

    def verified(self) -> VerificationResult:
        with self.at_work(Start.BY_HAND) as run:
            return verify(run, TABLES, list(ENTITY_NAMES), sleep=self.nap)

    def rollback(self) -> Rolled:
        return roll_back(self._at_rest(), TABLES, self.clock.time)

    def foreseen(self) -> Rolled:
        return foresee(self._at_rest(), TABLES)

    def session(self) -> Session:
        """Work on the data directory that is no run."""
        return Session(self.config, self.workspace, Tasks(), Patience(self.clock))

    def manifest(self) -> Manifest:
        manifest = Manifest.load(self.workspace.manifest)
        assert manifest is not None
        return manifest

    def _at_rest(self) -> Run:
        return Run(self.config, self.workspace, self.manifest(), Tasks())

    def nap(self, _seconds: float) -> None:
        return

    def scan(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every item of the three tables, by its key."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for entity in TABLES:
            pages = self.client.get_paginator("scan").paginate(TableName=self.table(entity))
            for item in (item for page in pages for item in page["Items"]):
                found[item["PK"]["S"], item["SK"]["S"]] = dict(item)
        return found

    def drop(self) -> None:
        """Delete the tables."""
        for entity in TABLES:
            self.client.delete_table(TableName=self.table(entity))


@contextmanager
def one_session() -> Iterator[None]:
    """botocore takes a tenth of a second to find the same settings again and again: here it looks
    for them once. And a backup waits two seconds before it looks again at what the application has
    changed just now: here a moment."""
    core = aws._core
    found: list[Any] = []

    def once(target: TargetConfig) -> Any:
        if not found:
            found.append(core(target))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "_core", once)
        patch.setattr(backup_engine, "_PAUSE", 0.05)
        yield
