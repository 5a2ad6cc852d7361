"""S9 on MySQL or MariaDB: one consistent snapshot, whose rows arrive as JSON that the server wrote.

MySQL cannot share a snapshot between connections. Where it can be proved that several see the same
(extract/mysql/agreement.py), records and their children are read in step, each over one, and a
further one is free for other questions. Else everything is read through one, one query after
another: the records are kept in a temporary file first, and then given out along with the children
that arrive.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from extract.mysql.agreement import begin, hold
from extract.mysql.amounts import amount_of, label_of
from extract.mysql.protocol_rows import Cells, SpooledRows, columns_of
from extract.mysql.queries import Queries, quote
from extract.mysql.row_json import column_of
from extract.mysql.session import Session
from extract.mysql.tables import MySqlTables, replication
from extract.selection import Amount, Label, Selection, SourceColumn, first_of, same_family
from extract.source import CONNECTIONS, Reads, Row, Rows, Snapshot
from utils.config import SourceConfig
from utils.error_handler import SourceUnavailable
from utils.files.pieces import portions
from utils.interrupt import StopFlag
from utils.logger import get_logger

_GUARANTEE = (
    "one REPEATABLE READ transaction WITH CONSISTENT SNAPSHOT, READ ONLY, through which everything "
    "is read; it covers InnoDB tables"
)
_GUARANTEE_OF_SEVERAL = (
    "{} REPEATABLE READ transactions WITH CONSISTENT SNAPSHOT, READ ONLY, which see the same: "
    "InnoDB's log stood still while they began; they cover InnoDB tables"
)
_PAGE, _PAGE_BYTES = 1_000, 8 << 20  # parents whose children are asked for at a time
_FEW_AMONG = 10  # parents are few when the table has so many times as many children
_SORTED = 1_000_000  # rows that a live server is asked to sort at once, some 200 MB
_FEW = 150_000  # parties whose copies are held in memory: some sixty megabytes …
_FEW_BYTES = 100 << 20  # … or as many as these
_WRITING = re.compile(r"\b(?:ALL PRIVILEGES|INSERT|UPDATE|DELETE|DROP|ALTER|SUPER)\b")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\S+) TO ", re.DOTALL)

# Of every copy that a record has: what stands before it, and its text by reference.
Copies = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


class MySqlSource:
    """A connection to S9 whose every query sees the same snapshot. See extract/source.py for what
    its methods promise."""

    def __init__(
        self,
        config: SourceConfig,
        stop: StopFlag | None,
        scratch: Path,
        reads: Reads | None = None,
        *,
        shares: tuple[Session, Snapshot] | None = None,
    ) -> None:
        """Connect and take a snapshot, or read over a connection that has begun it already
        (`shares`). Raises SourceUnavailable."""
        self._config = config
        self._reads = reads or Reads()
        self._stop = stop or StopFlag()
        self._scratch = scratch
        self._opened = ExitStack()
        self._queries = Queries()
        self._sessions = [shares[0] if shares else Session(config, self._stop)]
        self._main = self._sessions[0]
        try:
            with self._errors():
                self._tables = MySqlTables(self._main.all, self._main.database)
                self._snapshot = shares[1] if shares else self._take_snapshot()
        except BaseException:
            for session in self._sessions:
                session.close()
            raise

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that all queries see."""
        return self._snapshot

    @property
    def encryption(self) -> str:
        """The protocol by which the connection is encrypted; "" when it is not."""
        return self._main.encryption

    @property
    def connection_number(self) -> int:
        """The server's number of the connection."""
        return int(self._main.number)

    def __enter__(self) -> MySqlSource:
        self._opened.enter_context(self._stop.cancelling(self._cancel))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
        for session in reversed(self._sessions):
            if error is None:
                session.close()
            else:  # somebody may be asking
                session.break_off()

    def _cancel(self) -> None:
        for session in self._sessions:
            session.cancel()

    def _errors(self) -> Any:
        return self._main.errors()

    def _take_snapshot(self) -> Snapshot:
        why = self._connect_further()
        begun = begin(self._sessions, self._stop)
        differ = begun.differ
        if len(self._sessions) > 1 and not differ:
            tables = [f"SELECT * FROM {self.table(name)}" for name in self._reads.tables]
            differ = hold(self._sessions, [*tables, *self._reads.queries])
        if differ:
            self._leave_out_further()
        why = why or differ
        for session in self._sessions:
            session.check()
        return Snapshot(
            "",
            f"{begun.moment[: -len('123')]}Z",
            begun.server,
            transactions="",
            history="",
            guarantee="; ".join(filter(None, (self._guarantee(), self._replication()))),
            identity=self._main.identity(),
            connections=self._tell_connections(why),
        )

    def _connect_further(self) -> str:
        """Have as many connections as are wanted; why there are fewer, "" when there are not."""
        try:
            while len(self._sessions) < self._reads.connections:
                self._sessions.append(Session(self._config, self._stop))
        except SourceUnavailable as error:
            self._leave_out_further()
            return f"S9 gives no further ones ({error.message})"
        return ""

    def _leave_out_further(self) -> None:
        while len(self._sessions) > 1:
            self._sessions.pop().close()

    def _guarantee(self) -> str:
        several = len(self._sessions)
        return _GUARANTEE_OF_SEVERAL.format(several) if several > 1 else _GUARANTEE

    def _tell_connections(self, why: str) -> str:
        """Say over how many connections S9 is read, where more than one is wanted."""
        if self._reads.connections == 1:
            return ""
        if not why:
            return f"{len(self._sessions)} connections that see the same snapshot"
        said = f"one connection, which takes longer: {why}"
        get_logger().info("S9 is read over %s", said)
        return said

    def _replication(self) -> str:
        read_only = self._main.variables("read_only").get("read_only", "OFF") == "ON"
        said = replication(self._main.by_name, read_only)
        if said:
            get_logger().warning("%s", said)
        return said

    @contextmanager
    def beside(self) -> Iterator[MySqlSource | None]:
        """Another source with the same snapshot, for another thread; None without a connection
        that is free for it."""
        if len(self._sessions) < CONNECTIONS:
            yield None
            return
        spare = self._sessions.pop(), self._snapshot
        with MySqlSource(self._config, self._stop, self._scratch, shares=spare) as other:
            yield other

    def quote(self, identifier: str) -> str:
        """An identifier in backticks, safe in SQL."""
        return quote(identifier)

    def table(self, name: str) -> str:
        """A table of the database that is connected to; there is no other place to look."""
        return quote(name)

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, with what the server says of their types."""
        with self._errors():
            fields = columns_of(self._main.connection, f"SELECT * FROM ({query}) AS q LIMIT 0")
            self._main.check()  # the query may be the operator's
        return [column_of(field) for field in fields]

    def first_of(self, columns: Sequence[SourceColumn]) -> tuple[str, str]:
        """The first of several columns that has a value, and whether two have different ones."""
        names = [f"q.{quote(column.name)}" for column in columns]
        if not same_family(columns):
            names = [f"CONVERT({name} USING utf8mb4)" for name in names]
        return first_of(names, "TRIM({0}) <> ''", "CAST({0} AS BINARY) <> CAST({1} AS BINARY)")

    def count(self, selection: Selection) -> int:
        """How many rows a selection has, by SQL."""
        with self._errors():
            [(rows,)] = self._main.all(f"SELECT count(*) FROM ({selection.query}) AS q")
            self._main.check()
        return int(rows)

    def count_keys(self, selection: Selection) -> tuple[int, int]:
        """The same, and how many different keys."""
        key = quote(selection.key)
        with self._errors():
            [(rows, keys)] = self._main.all(
                f"SELECT count(*), count(DISTINCT {key}) FROM ({selection.query}) AS q"
            )
            self._main.check()
        return int(rows), int(keys)

    def tally(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that has only a few."""
        with self._errors():
            return self._main.all(query)

    def label(self, reference: str, column: SourceColumn) -> Label:
        """The SQL of a value as JSON text, as the artifact has it."""
        return label_of(reference, column)

    def amount(self, reference: str, column: SourceColumn) -> Amount:
        """The SQL of an amount."""
        return amount_of(reference, column)

    @property
    def groups_by_sets(self) -> bool:
        """Whether GROUPING SETS are known."""
        return False

    def summed(self, query: str) -> Iterator[Row]:
        """The rows of a query that returns a number and a JSON text, as they come."""
        return self._main.stream(query)

    def exceptions(self, tables: Iterable[str] | None) -> str:
        """What has no snapshot, and what cannot be seen to have one, also behind views."""
        with self._errors():
            return self._tables.without_snapshot(tables, self._reads.queries)

    def rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        """None: nothing could be proved with them. Raises SourceError for a table that would show
        others than all of its rows."""
        with self._errors():
            self._tables.require_whole(tables)
        return {}

    def listed(self, table: str) -> list[str]:
        """All columns of a table in order, if `SELECT *` does not return them all; else none."""
        with self._errors():
            return self._tables.listed(table)

    def unchanged_since(self, _transactions: str, _rows: Mapping[str, int]) -> bool:
        """Never: MySQL tells nobody which transaction has written a row."""
        return False

    def writable(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that the account may change, by its grants."""
        with self._errors():
            grants = [str(line) for (line,) in self._main.all("SHOW GRANTS")]
        found = [match for line in grants if (match := _GRANT.match(line))]
        places = {match["place"] for match in found if _WRITING.search(match["rights"].upper())}
        database = quote(self._config.database)
        everywhere = places & {"*.*", f"{database}.*"}
        return [name for name in tables if everywhere or f"{database}.{quote(name)}" in places]

    @contextmanager
    def rows(
        self, records: Selection, children: Selection | None, after: int | None = None
    ) -> Iterator[Rows]:
        """The rows of the records, and of their children in step."""
        if children is not None and len(self._sessions) > 1:
            with self._in_step(records, children, after) as in_step:
                yield in_step
            return
        with closing(self._records(records, after)) as arriving:
            if children is None:
                yield arriving, None
            else:
                with (
                    # Copied now, while the server writes the next records.
                    SpooledRows.of(arriving, self._scratch) as kept,
                    closing(self._children(children, kept, after)) as following,
                ):
                    yield kept.rows(), following

    @contextmanager
    def _in_step(
        self, records: Selection, children: Selection, after: int | None
    ) -> Iterator[Rows]:
        """The same over two connections."""
        side = self._sessions[1]
        is_paged = self._is_worth_paging(children, partial(self._are_fewer, records, after))
        with closing(self._records(records, after)) as arriving:
            # Asked for first: the server is at work on them while it sorts the children.
            begun = chain(list(islice(arriving, 1)), arriving)
            if is_paged:
                pages = _Pages(begun)
                with closing(self._of_pages(side, children, pages.keys())) as following:
                    yield pages.rows(), following
                return
            with closing(side.stream(self._queries.of_all_parents(children, after))) as following:
                yield begun, following

    def _records(self, records: Selection, after: int | None) -> Generator[Row]:
        copies = self._copies(records) if self._are_few(records) else []
        query = self._queries.after(records, after, spliced=bool(copies))
        if not copies:
            yield from self._main.stream(query)
            return
        with self._errors(), closing(self._main.ask(query)) as arriving:
            yield from _with_copies(chain.from_iterable(arriving.pages_with_references()), copies)

    def _copies(self, records: Selection) -> Copies:
        """All that can be copied; read once where two are copies of the same. Nothing where it is
        too large to be held, however few they are."""
        held = {query: dict[bytes, bytes]() for query in map(self._queries.copies, records.copies)}
        size = 0
        for query, found in held.items():
            for key, row in self._main.stream(query):
                if size <= _FEW_BYTES:  # else the rest only has to arrive
                    size += len(row)
                    found[key] = row if key not in found else _one_more(found[key])
            if size > _FEW_BYTES:
                return []
        return [
            (b',"%b":' % copy.name.encode(), held[self._queries.copies(copy)])
            for copy in records.copies
        ]

    def _are_few(self, records: Selection) -> bool:
        """Whether what is to be copied is so little that it is held here, rendered once, instead
        of being rendered again for every record that refers to it."""
        by_name = {field.column.name: field.column for field in records.fields}
        with self._errors():
            return bool(records.copies) and all(
                by_name[copy.reference].is_integer
                and copy.key.is_integer
                and self._main.all(f"SELECT count(*) FROM ({copy.query}) AS q")[0][0] <= _FEW
                for copy in records.copies
            )

    def _children(
        self, children: Selection, kept: SpooledRows, after: int | None
    ) -> Generator[Row]:
        """The children of the kept records, over the connection that has read these: all of the
        table in one sorted stream, or, along an index, a page of parents at a time when they are
        few among many or too many to be sorted."""
        if self._is_worth_paging(children, lambda most: kept.count < most):
            yield from self._of_pages(self._main, children, _paged(kept.keys()))
        elif kept.count:
            yield from self._main.stream(self._queries.of_all_parents(children, after))

    def _of_pages(
        self, session: Session, children: Selection, pages: Iterable[Sequence[bytes]]
    ) -> Generator[Row]:
        """The children of the parents with these keys, a page at a time."""
        for page in pages:
            yield from session.stream(self._queries.of_parents(children, page))

    def _are_fewer(self, records: Selection, after: int | None, than: int) -> bool:
        key = quote(records.key)
        beyond = "" if after is None else f" WHERE {key} > {int(after)}"
        some = f"SELECT {key} FROM ({records.query}) AS r{beyond} LIMIT {than}"
        with self._errors():
            [(count,)] = self._main.all(f"SELECT count(*) FROM ({some}) AS q")
        return int(count) < than

    def _is_worth_paging(self, children: Selection, are_fewer: Callable[[int], bool]) -> bool:
        """Whether their parents are few among many children, or these too many to be sorted, and
        there is an index. `are_fewer` says whether there are fewer parents than so many."""
        query = (
            "SELECT TABLE_ROWS FROM information_schema.TABLES JOIN information_schema.STATISTICS "
            "USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
            "AND COLUMN_NAME = %s AND SEQ_IN_INDEX = 1"
        )
        with self._errors():
            indexed = self._main.all(query, (self._config.database, children.table, children.key))
        # The number of rows is the server's own estimate.
        rows = max((int(rows or 0) for (rows,) in indexed), default=0)
        return rows > _SORTED or (rows > 0 and are_fewer(-(-rows // _FEW_AMONG)))


class _Pages:
    """Records that arrive, a page of them held at a time: those who ask for their children know
    the keys before the records are given out."""

    def __init__(self, arriving: Iterator[Row]) -> None:
        self._arriving = portions(arriving, _PAGE, lambda row: len(row[1]), _PAGE_BYTES)
        self._held: deque[Row] = deque()
        self._asked: deque[list[bytes]] = deque()

    def rows(self) -> Iterator[Row]:
        """The records, in order."""
        while self._held or self._fetch():
            yield self._held.popleft()

    def keys(self) -> Iterator[list[bytes]]:
        """Their keys, in order, a page at a time."""
        while self._asked or self._fetch():
            yield self._asked.popleft()

    def _fetch(self) -> bool:
        page = next(self._arriving, [])
        if page:
            self._held.extend(page)
            self._asked.append([key for key, _ in page])
        return bool(page)


def _paged(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while page := list(islice(keys, _PAGE)):
        yield page


def _with_copies(rows: Iterable[Cells], copies: Copies) -> Iterator[Row]:
    """The rows with the copies that their references lead to; `null` where they lead nowhere."""
    for key, row, *references in rows:
        parts = [row[:-1]]
        for (name, found), reference in zip(copies, references, strict=True):
            parts += (name, found.get(reference, b"null"))
        parts.append(b"}")
        yield key, b"".join(parts)


def _one_more(known: bytes) -> bytes:
    """In the place of a row to be copied: how many there are of its key, one more than known."""
    return b"%d" % (int(known) + 1 if known.isdigit() else 2)
