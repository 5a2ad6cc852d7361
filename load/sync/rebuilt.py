"""What the target is known to hold, made anew of the table: where no load of this data directory
says it, or where earlier loads have left records in the table that S9 had lost by then.

What carries `legacyId` a migration wrote. Who has changed it since, its stamps tell (`Authors`,
load/conflicts/policy.py): such items are known as the application's, and not as what was written
last. They bear no stamps here, so that no table has just that: their record stays when it has left
S9. The scan goes into a scratch file that sorts it; a record's items are then together, in the
order of a transformed file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from load.conflicts.kept_file import KeptFile
from load.conflicts.policy import Authors
from load.sync.known_records import KnownFiles
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import STAMPS, Item, line_of, normal_item
from utils.dynamodb.table_reader import TableReader, items_page
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, TableSpec
from utils.entities import shape_of
from utils.files.line_marks import EDITED, LineMarks
from utils.files.storage import make_directory, open_private, storage_errors
from utils.run.run import Run

PHASE = "survey"
_HEADER = "METADATA"
_TABLES = (
    "CREATE TABLE items (pk TEXT, number INT, own INT, line BLOB)",
    "CREATE TABLE records (pk TEXT PRIMARY KEY, number INT, own INT, line BLOB) WITHOUT ROWID",
    "CREATE INDEX of_record ON items (pk, number)",
)
_IN_ORDER = "SELECT pk, own, line FROM records ORDER BY number, pk"
_LINES = "SELECT own, line FROM items WHERE pk = ? ORDER BY number"


def rebuilt(run: Run, spec: TableSpec) -> KnownFiles:
    """Read an entity's table, and write what is known by that into the scratch directory. Raises
    TargetError, StorageError, and Interrupted when a stop is asked for."""
    make_directory(run.workspace.scratch)
    found, main, plan = (
        run.workspace.scratch / f"known-{spec.entity}{end}" for end in (".sqlite", "", ".plan")
    )
    for path in (found, main, plan):
        path.unlink(missing_ok=True)
    with _Found(found) as items:
        for page in _pages(run, spec):
            run.stop.leave_if_asked()
            items.add(page)
        _write(items, main, plan)
    found.unlink()
    return KnownFiles(main, plan)


def _pages(run: Run, spec: TableSpec) -> Iterator[list[tuple[Item, bool]]]:
    """The migrated items of an entity, with whether they are as a migration wrote them."""
    table, segments = run.config.target.table(spec.entity), run.config.migration.scans
    retry = RetryPolicy.of(run.config.migration, run.stop.sleep)
    reader = TableReader(DynamoDB(run.config.target), retry, pause=run.stop.leave_if_asked)
    authors = Authors.of(run.config.transformation, run.manifest.empty_as_of.get(spec.entity, ""))
    prefix = shape_of(spec.entity).prefix
    with run.progress.task(
        PHASE, spec.entity, None, unit="items", step="reading what the table holds"
    ) as task:
        for page in reader.scan(table, items_page, segments=range(segments), of=segments):
            task.advance(len(page.items))
            yield [
                (item, authors.is_own(item))
                for item in page.items
                if _number(item) is not None and item[PARTITION_KEY]["S"].startswith(prefix)
            ]


def _number(item: Item) -> int | None:
    """The key in S9 of what an item was made of; None for one that no migration wrote."""
    text = str(item.get("legacyId", {}).get("S", ""))
    return int(text) if text.removeprefix("-").isdecimal() else None


class _Found(KeptFile):
    """What the scan has found, sorted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLES, durable=False)

    def add(self, page: Iterable[tuple[Item, bool]]) -> None:
        rows: dict[bool, list[tuple[object, ...]]] = {True: [], False: []}
        for item, own in page:
            known = normal_item(item)
            if not own:  # what was written last of it is not known: not this
                known = {name: known[name] for name in known if name not in STAMPS}
            line = line_of(known) + b"\n"
            row = (item[PARTITION_KEY]["S"], _number(item), own, line)
            rows[item[SORT_KEY]["S"] == _HEADER].append(row)
        self._write(
            ("INSERT INTO items VALUES (?, ?, ?, ?)", rows[False]),
            ("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", rows[True]),
        )

    def records(self) -> Iterator[list[tuple[int, bytes]]]:
        """The items of each record, each with whether it is as it was written."""
        for pk, own, line in self._file.execute(_IN_ORDER):
            yield [(own, line), *self._ask(_LINES, (pk,))]


def _write(items: _Found, main: Path, plan: Path) -> None:
    changed: list[int] = []
    with ExitStack() as opened:
        opened.enter_context(storage_errors(main))
        out = opened.enter_context(open_private(main, "wb"))
        for record in items.records():
            for own, line in record:
                if not own:
                    changed.append(out.tell())
                out.write(line)
    with LineMarks.create(plan, main.stat().st_size) as marks:
        marks.mark_some([(place, EDITED) for place in changed])
