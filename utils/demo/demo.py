"""The demonstration: two servers, a made-up S9, and whether the tool found what was planted.

How the migration runs between the two is the runbook's business; this is what is around it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import orjson

from utils.cli.closings import said
from utils.cli.text_table import table
from utils.config import (
    Config,
    DataConfig,
    MigrationConfig,
    Secret,
    SourceConfig,
    TargetConfig,
    TransformationConfig,
)
from utils.demo.sample.data import SampleReport, SampleSize, generate
from utils.demo.sample.pools import USER_MAPPING
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.ourselves import among_ourselves
from utils.embedded.postgresql import EmbeddedPostgres
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.files.quarantine import read_quarantine
from utils.files.workspace import Workspace
from utils.run.own_directories import DEMONSTRATION, require_ours
from utils.run.run import Run
from utils.telemetry.tasks import Tasks
from utils.wording.figures import counted

Database: TypeAlias = EmbeddedPostgres | EmbeddedMariaDB
_DATABASES: dict[str, Callable[[Path], Database]] = {
    "postgresql": EmbeddedPostgres,
    "mysql": EmbeddedMariaDB,
}
_NAMES = {"postgresql": "PostgreSQL", "mysql": "MariaDB"}


@dataclass
class Demo:
    """One demonstration in `directory`, which is emptied first, if it is of an earlier one."""

    directory: Path
    buyers: int
    producers: int
    sales: int
    seed: int
    source: str = "postgresql"
    _sample: list[SampleReport] = field(default_factory=list)

    @contextmanager
    def servers(
        self, say: Callable[[str], object], shown: Callable[[], AbstractContextManager[Tasks]]
    ) -> Iterator[Config]:
        """Both servers with a filled S9, for as long as the context lasts; yields the
        configuration of a migration between them. `shown` gives tasks whose steps are shown."""
        require_ours(Workspace(self.directory), DEMONSTRATION)
        with (
            among_ourselves(),
            tempfile.TemporaryDirectory() as scratch,
            _DATABASES[self.source](Path(scratch) / self.source) as s9,
            EmbeddedAws() as aws,
        ):
            kind = _NAMES[self.source]
            say(f"S9 is a {kind} at {s9.host}:{s9.port}, AWS is at {aws.endpoint_url}")
            with shown() as tasks, tasks.task("demo", "", None, step="filling S9"):
                self._fill(s9)
            say(
                f"S9 has {counted(self.buyers, 'buyer')}, {counted(self.producers, 'producer')} "
                f"and {counted(self.sales, 'sale')} with {counted(self.sample.lines, 'line')}; "
                f"{counted(len(self.sample.planted), 'row is', 'rows are')} dirty on purpose\n"
            )
            yield self._config(s9, aws)

    @property
    def sample(self) -> SampleReport:
        """What S9 was filled with."""
        return self._sample[0]

    def _fill(self, s9: Database) -> None:
        connection = s9.connect()
        try:
            create_tables(connection)
            size = SampleSize(self.buyers, self.producers, self.sales)
            self._sample = [generate(connection, size, self.seed)]
        finally:
            connection.close()

    def _config(self, s9: Database, aws: EmbeddedAws) -> Config:
        return Config(
            source=SourceConfig(
                type=self.source,
                host=s9.host,
                port=s9.port,
                database=s9.database,
                username=s9.reader,
                password=Secret(s9.reader_password),
                ssl=False,
            ),
            target=TargetConfig(use_local_stack=True, endpoint=aws.endpoint_url),
            migration=MigrationConfig(continue_on_error=True),
            transformation=TransformationConfig(user_mapping=USER_MAPPING),
            data=DataConfig(str(self.directory)),
        )

    def verdict(self, run: Run, code: ExitCode, say: Callable[[str], object]) -> ExitCode:
        """Compare the tool's findings with what was planted; DONE when they agree.

        Records in quarantine are what the demonstration is to show, so their exit code is not
        a failure here.
        """
        if code not in (ExitCode.DONE, ExitCode.QUARANTINED):
            return code
        quarantined = {
            entity: {r.legacy_id for r in read_quarantine(run.workspace.quarantine(entity))}
            for entity in ENTITY_NAMES
        }
        planted = {entity: self.sample.quarantined(entity) for entity in ENTITY_NAMES}
        warned = _warned(run)
        unseen = {name: self.sample.without_warning(name, warned[name]) for name in ENTITY_NAMES}
        unplanted = {name: self.sample.unplanted(name, warned[name]) for name in ENTITY_NAMES}
        say("\n" + self._comparison(planted, quarantined, unseen, unplanted))
        if quarantined != planted or any(unseen.values()) or any(unplanted.values()):
            say(said("not-as-planted"))
            return ExitCode.FAILED
        say(said("as-planted"))
        return ExitCode.DONE

    def _comparison(
        self,
        planted: dict[str, set[str]],
        quarantined: dict[str, set[str]],
        unseen: dict[str, set[str]],
        unplanted: dict[str, set[str]],
    ) -> str:
        header = ["", "to refuse", "refused", "to warn of", "warned of", "false alarms"]
        rows = []
        for entity in ENTITY_NAMES:
            suspicious = self.sample.suspicious(entity)
            warned = len(suspicious) - len(unseen[entity])
            rows.append(
                [
                    f"Planted in {entity}",
                    len(planted[entity]),
                    len(quarantined[entity]),
                    len(suspicious),
                    warned,
                    len(unplanted[entity]),
                ]
            )
        return table(header, rows)


def _warned(run: Run) -> dict[str, set[str]]:
    """The legacy ids of each entity that validation has something to say of."""
    report = orjson.loads(run.workspace.report("validation").read_bytes())
    return {
        entity: {f["legacyId"] for f in report["findings"] if f["entity"] == entity}
        for entity in ENTITY_NAMES
    }
