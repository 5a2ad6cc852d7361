"""What every measurement works on: S9 in a PostgreSQL, the sink, and a data directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from tests.bench.sink.server import Sink
from tests.bench.source import Size, fill
from utils.config import Config
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.postgresql import EmbeddedPostgres
from utils.entities import ENTITY_NAMES
from utils.run.lifecycle import Screen, Start, open_run
from utils.run.run import Run
from utils.settings.config_file import load_config

PASSWORD = "S9_PASSWORD"
PART = "part"  # the database that holds the smaller S9
MANY_LINES = "many_lines"  # one of sales that have sixty lines each: nearly all items are lines
_FOLD, _FEWER_SALES = 20, 4
LINES = 250_000  # as many as a comparison holds in memory


@dataclass(frozen=True)
class Scene:
    """The servers, up and filled, and where files go."""

    s9: EmbeddedPostgres
    sink: Sink
    directory: Path
    mysql: EmbeddedMariaDB | None = None

    def configuration(self, name: str, *, database: str = "") -> str:
        """Write the configuration of a migration with a data directory of its own; its path."""
        return self._written(name, self.s9, "postgresql", database or self.s9.database, PASSWORD)

    def items(self, name: str) -> int:
        """How many items the configuration of this name has made."""
        manifest = orjson.loads((self.data(name) / "manifest.json").read_bytes())
        artifacts = manifest["artifacts"]
        return sum(artifacts[f"transformed/{entity}.json"]["items"] for entity in ENTITY_NAMES)

    def data(self, name: str) -> Path:
        """The data directory of the configuration of this name."""
        return self.directory / name

    def configuration_of_mysql(self, name: str, password: str) -> str:
        """As `configuration`, of S9 on MySQL; the password is in the variable that is named."""
        assert self.mysql is not None
        return self._written(name, self.mysql, "mysql", self.mysql.database, password)

    def _written(
        self,
        name: str,
        server: EmbeddedPostgres | EmbeddedMariaDB,
        kind: str,
        database: str,
        password: str,
    ) -> str:
        path = self.directory / f"{name}.json"
        document: dict[str, Any] = {
            "source": {
                "type": kind,
                "host": server.host,
                "port": server.port,
                "database": database,
                "username": server.reader,
                "password": f"${{{password}}}",
                "ssl": False,
            },
            "target": {"useLocalStack": True, "endpoint": self.sink.endpoint},
            "data": {"directory": str(self.data(name))},
        }
        path.write_bytes(orjson.dumps(document))
        return str(path)


@contextmanager
def scene(
    directory: Path, size: Size, part: Size, further: Mapping[str, Size] | None = None
) -> Iterator[Scene]:
    """Start both servers and fill S9, a smaller one of the same mixture in PART, MANY_LINES, and
    `further` ones by the names of their databases; files go below `directory`."""
    databases = {PART: part, MANY_LINES: Size(-(-part.sales // _FEWER_SALES), _FOLD)}
    databases |= further or {}
    with EmbeddedPostgres(directory / "postgresql") as s9, Sink() as sink:
        for name in databases:
            s9.create_database(name)
        for database, chosen in {s9.database: size, **databases}.items():
            connection = s9.connect(database)
            try:
                fill(connection, chosen)
            finally:
                connection.close()
        before = os.environ.get(PASSWORD)
        os.environ[PASSWORD] = s9.reader_password  # for the processes that measure
        try:
            yield Scene(s9, sink, directory)
        finally:
            if before is None:
                del os.environ[PASSWORD]
            else:
                os.environ[PASSWORD] = before


def configured(path: str) -> Config:
    """The configuration at `path`."""
    return load_config(Path(path), os.environ)


@contextmanager
def quiet_run(config: Config) -> Iterator[Run]:
    """A run that does single phases and says nothing."""
    with open_run(config, Screen(quiet=True), Start.BY_HAND) as run:
        yield run


def lines_of(run_config: Config, stage: str, limit: int = LINES) -> list[bytes]:
    """The lines of the entities' files of a stage ("extracted", "transformed"), at most `limit`."""
    root = Path(run_config.data.directory) / stage
    with ExitStack() as opened:
        files = [opened.enter_context((root / f"{name}.json").open("rb")) for name in ENTITY_NAMES]
        return [line.rstrip(b"\n") for line in islice(chain.from_iterable(files), limit)]
