"""The tool's own work, measured: each phase over all three entities, and the whole."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import migrate
from extract.entities import entities_of
from load.backup.listing import listed
from load.entities import TABLES
from tests.bench.measure import Figures, Job, Watch
from tests.bench.profiles import Profile, sampling
from tests.bench.scene import configured, quiet_run
from utils.config import Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import MigrationError
from utils.run.run import Run

_TIMESTAMP = "2026-01-01T00:00:00.000Z"


def _settings(job: Job) -> Config:
    config = configured(job.config)
    processes = job.processes or config.migration.processes
    return replace(config, migration=replace(config.migration, processes=processes))


def _measured(job: Job, work: Callable[[Run], object], stage: str) -> Figures:
    """Time `work` on a run; items are those of the artifacts of `stage`."""
    watch, profile = Watch(), Profile()
    with quiet_run(_settings(job)) as run:
        with watch.running(), sampling(profile, wanted=job.profile):
            work(run)
        artifacts = run.manifest.artifacts
        items = sum(artifacts[f"{stage}/{name}.json"].items for name in ENTITY_NAMES)
    return replace(watch.figures(items), profile=profile.shares())


def extract(job: Job) -> Figures:
    """From S9 to data/extracted. Items are rows: of parties, sales and lines."""
    from extract import engine

    def work(run: Run) -> None:
        run.manifest.migration_timestamp = _TIMESTAMP
        engine.extract(run, entities_of("s9"), ENTITY_NAMES, _stop, by_hand=True)

    return _measured(job, work, "extracted")


def transform(job: Job) -> Figures:
    """From data/extracted to data/transformed."""
    from transform import engine

    return _measured(
        job, lambda run: [engine.transform(run, name) for name in ENTITY_NAMES], "transformed"
    )


def validate(job: Job) -> Figures:
    """The gate over data/transformed. Raises RuntimeError when it does not pass."""
    from validate.validate_data import validate as gate

    def work(run: Run) -> None:
        outcome = gate(run)
        if not outcome.passed:
            raise RuntimeError(f"{outcome.error_count} errors in clean data")

    return _measured(job, work, "transformed")


def load(job: Job) -> Figures:
    """From data/transformed into the sink; the clients' own start-up included."""
    from load import engine
    from load.conflicts.survey import plan_for_empty
    from load.target.tables import prepare_tables

    def work(run: Run) -> None:
        shutil.rmtree(run.workspace.undo, ignore_errors=True)  # of loads before this one
        for name in ENTITY_NAMES:
            plan_for_empty(run, name)
            engine.load(run, TABLES[name])

    prepare_tables(_settings(job).target, list(TABLES.values()), create=True)
    return _measured(job, work, "transformed")


def load_by_one(job: Job) -> Figures:
    """The same load by one process."""
    return load(replace(job, processes=1))


def load_on_condition(job: Job) -> Figures:
    """The load after one that was killed and of which nothing is known to have arrived: item by
    item, each on condition."""
    from load import engine
    from load.conflicts.survey import plan_for_empty
    from load.load_state import LoadState
    from load.target.tables import prepare_tables

    def work(run: Run) -> None:
        shutil.rmtree(run.workspace.undo, ignore_errors=True)
        for name in ENTITY_NAMES:
            plan_for_empty(run, name)
            state = LoadState.load(run.workspace.load_state(name))
            assert state is not None
            state.about_to_send(0, run.workspace.transformed(name).stat().st_size)
            engine.load(run, TABLES[name])

    prepare_tables(_settings(job).target, list(TABLES.values()), create=True)
    return _measured(job, work, "transformed")


def load_replacing(job: Job) -> Figures:
    """The load into a table that holds different content under every key, without the survey."""
    from load import engine
    from load.conflicts.survey import survey_before_load

    watch = Watch()
    with quiet_run(_settings(job)) as run:
        survey_before_load(run, TABLES, ENTITY_NAMES, {})
        with watch.running():
            replaced = sum(
                engine.load(run, TABLES[name]).result["replaced"] for name in ENTITY_NAMES
            )
    return watch.figures(replaced)


def rollback(job: Job) -> Figures:
    """`migrate.py rollback` of the load, with its second look."""
    return _command(job, "rollback", "--yes")


def backup(job: Job) -> Figures:
    """`migrate.py backup` of all tables."""
    return _command(job, "backup")


def restore(job: Job) -> Figures:
    """`migrate.py restore` of the last backup of the sales and their lines. Items are those that
    it has."""
    config = _settings(job)
    entries = [each.entry for each in listed(Path(config.backups), thorough=False) if each.entry]
    last = [each for each in entries if each.table == config.target.sales_table][-1]
    return replace(_command(job, "restore", last.name, "--yes"), items=last.items)


def verify(job: Job) -> Figures:
    """Scan the sink and check everything. Raises RuntimeError for a difference."""
    from validate.verify.engine import verify as prove

    def work(run: Run) -> None:
        result = prove(run, TABLES, ENTITY_NAMES)
        if not result.passed:
            raise RuntimeError(f"the target differs: {result.problems[:3]}")

    return _measured(job, work, "transformed")


def verify_by_source(job: Job) -> Figures:
    """`migrate.py --phase verify --from-source`: S9 read, transformed and judged again, then the
    sink scanned."""
    return _command(job, "--phase", "verify", "--from-source")


def whole(job: Job) -> Figures:
    """`migrate.py --full`, all five phases, the imports of each phase included."""
    return _command(job, "--full", "--restart")


def _command(job: Job, *command: str) -> Figures:
    """Time a command. Raises RuntimeError when it does not end with 0."""
    watch = Watch()
    arguments = ["--quiet", "--config", job.config, *command]
    code: object = None
    with watch.running():
        try:
            migrate.cli.main(arguments, prog_name="migrate.py")
        except SystemExit as ended:
            code = ended.code
    if code != 0:
        raise RuntimeError(f"migrate.py {' '.join(command)} ended with {code}")
    with quiet_run(_settings(job)) as run:
        artifacts = run.manifest.artifacts
        items = sum(artifacts[f"transformed/{name}.json"].items for name in ENTITY_NAMES)
    return watch.figures(items)


def _stop(phase: str, entity: str, error: MigrationError) -> None:
    print(f"{phase} of {entity} failed", file=sys.stderr)  # noqa: T201
    raise error
