"""How far the import of one entity's table has come: data/import/{entity}.json.

It is written before everything that cannot be taken back, so that whoever is killed finds out by it
what may have happened. After the import it says which objects are still in S3.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.error_handler import ArtifactError
from utils.files.artifacts import utc_now
from utils.files.storage import make_directory, write_atomically
from utils.run.run import Run
from utils.settings.typed_json import fits
from utils.wording.invocation import command

_LETTERS = "abcdefghjkmnpqrstuvwxyz"


def _new_name() -> str:
    """A name that nobody else will have; without digits, so that nobody takes it for an account or
    a telephone number and masks it."""
    return "".join(secrets.choice(_LETTERS) for _ in range(20))


@dataclass
class ImportState:
    """The import of a file into a new table.

    `baseline` and `run` are those of the run that has begun it, `transformed` is the SHA-256 of the
    file, which has `items` in `bytes`. The objects are at `prefix` in `bucket` (of the account
    `owner`); `uploaded` says that all of them are, in so many `objects` and `stored_bytes`.
    `asked` is when DynamoDB was about to be asked for the import by `token` ("": it was not), and
    `arn`, `table_arn`, `table_id` are what it has answered. `status` is the last that it said, with
    the counts of items when it had `ended`; `failed` is why the import is of no use. `settings`
    says that the table has those of the configuration, `concluded` when the load was complete, and
    `removed` when the objects were taken away.
    """

    path: Path
    baseline: str
    run: str
    table: str
    transformed: str
    items: int
    bytes: int
    bucket: str
    prefix: str
    owner: str | None = None
    began: str = field(default_factory=utc_now)
    uploaded: bool = False
    objects: int = 0
    stored_bytes: int = 0
    upload_seconds: float = 0.0
    token: str = ""
    asked: str = ""
    arn: str = ""
    table_arn: str = ""
    table_id: str = ""
    status: str = ""
    ended: str = ""
    processed: int = 0
    imported: int = 0
    errors: int = 0
    processed_bytes: int = 0
    failed: str = ""
    settings: bool = False
    concluded: str = ""
    removed: str = ""

    @classmethod
    def new(cls, run: Run, entity: str) -> ImportState:
        """The state of an import that is about to begin; not saved yet. The configuration names a
        bucket."""
        source = run.workspace.transformed(entity)
        entry = run.manifest.artifacts[run.workspace.name_of(source)]
        table, s3 = run.config.target.table(entity), run.config.load.s3
        return cls(
            run.workspace.import_state(entity),
            run.manifest.baseline,
            run.manifest.run_id,
            table,
            entry.sha256,
            entry.items,
            entry.bytes,
            str(s3.bucket),
            f"{s3.prefix}/{_new_name()}/{table}/",
            s3.owner,
        )

    @classmethod
    def load(cls, path: Path) -> ImportState | None:
        """The state, None where nothing was imported. Raises ArtifactError when it is damaged."""
        if not path.exists():
            return None
        try:
            document: Mapping[str, Any] = orjson.loads(path.read_bytes())
            state = cls(path, **document)
            if not fits(state, ImportState):
                raise ValueError("type")
            return state
        except (ValueError, TypeError) as error:
            raise ArtifactError(
                f"{path} is damaged (cut short or edited): what was put into S3, and whether a "
                "table is being imported, is not known",
                remedy="put it back; or look at the table and the bucket in the AWS console, and "
                "delete the file and, if it is there, the table; then: "
                f"{command('--full --restart')}",
            ) from error

    def save(self) -> None:
        """Durable when this returns."""
        make_directory(self.path.parent)
        document = {name: value for name, value in asdict(self).items() if name != "path"}
        write_atomically(self.path, orjson.dumps(document, option=orjson.OPT_INDENT_2))

    @property
    def place(self) -> str:
        """Where the objects are, as S3's tools call it."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def is_at_work(self) -> bool:
        """Whether DynamoDB may be at the import, or has to be asked whether it is."""
        return bool(self.asked) and not (self.concluded or self.failed)

    def is_of(self, run: Run, entity: str) -> bool:
        """Whether this is an unfinished import of the transformed file that there is, into the
        table that is configured."""
        name = run.workspace.name_of(run.workspace.transformed(entity))
        entry = run.manifest.artifacts.get(name)
        same = entry is not None and entry.sha256 == self.transformed
        return same and self.table == run.config.target.table(entity) and not self.concluded

    def look_again(self) -> None:
        """What was said of an import that was of no use is asked once more."""
        if self.failed:
            self.failed = self.ended = ""

    def begin_anew(self) -> None:
        """What DynamoDB was asked for is of no use, and nothing of it is left: it is asked again,
        for the same objects."""
        self.token = self.asked = self.arn = self.table_arn = self.table_id = ""
        self.status = self.ended = self.failed = ""
        self.processed = self.imported = self.errors = self.processed_bytes = 0
        self.save()
