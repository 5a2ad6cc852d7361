"""Rows of MySQL's protocol, read in bulk, and kept on disk while the connection is needed again.

PyMySQL takes a row apart in twenty steps; here it is a key and a text, and the packets are cut out
of what has arrived: a third of the time. This is the one place that knows PyMySQL from inside.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson
import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR
from pymysql.cursors import SSCursor
from pymysql.err import raise_mysql_exception

from extract.source import Row
from utils.error_handler import SourceError
from utils.workspace import make_directory, storage_errors

_CHUNK = 1 << 18
_SEVERAL_PACKETS = (1 << 24) - 1  # a packet of this length goes on in the next
_NULL, _EOF, _ERROR = 0xFB, 0xFE, 0xFF
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}  # bytes of a length that does not fit into the first
_PAGE = 1_000

Cells = list[bytes | None]


def columns_of(connection: Connection[Any], query: str) -> list[Any]:
    """The protocol's descriptors of the columns that a query without rows returns."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor._result.fields)


class Arriving:
    """The rows of one query, as they come, each as the bytes of its cells.

    A connection has one of these at a time. Left in the middle, `close` gives the connection up:
    the protocol has no way to refuse the rest. Raises what PyMySQL raises.
    """

    def __init__(self, connection: Connection[Any], query: str) -> None:
        self._connection: Any = connection
        self._cursor = connection.cursor(SSCursor)
        self._cursor.execute(query)
        self._result: Any = getattr(self._cursor, "_result")  # noqa: B009 (not in its stubs)
        self._columns = int(self._result.field_count)

    def rows(self) -> Iterator[Row]:
        """Every row of a query with two columns, a number and a JSON text."""
        for packets in self._packets():
            for packet in packets:
                end = 1 + packet[0] if packet[0] != _NULL else 1
                first = packet[end]
                if first < _NULL:
                    row = packet[end + 1 :]
                elif first in _LENGTHS:
                    row = packet[end + 1 + _LENGTHS[first] :]
                else:
                    raise _unwritable(packet[1:end])
                yield packet[1:end], _canonical(row) if b"\\" in row else row

    def rows_and_more(self) -> Iterator[tuple[bytes, bytes, Cells]]:
        """As `rows`, of a query with more columns; these as the cells that they are."""
        for packets in self._packets():
            for packet in packets:
                key, row, *more = self._cells(packet)
                if row is None:
                    raise _unwritable(key or b"")
                yield key or b"", _canonical(row) if b"\\" in row else row, more

    def close(self) -> None:
        """Be done with it, also in the middle."""
        if self._result.unbuffered_active:
            self._result.unbuffered_active = False
            self._connection._force_close()
        self._cursor.close()

    def _packets(self) -> Iterator[list[bytes]]:
        """What is in the packets up to the one that ends the rows, as many at a time as arrive."""
        stream, data, pieces, last = self._connection._rfile, b"", list[bytes](), False
        while not last:
            data += self._received(stream)
            packets, place, available = [], 0, len(data)
            while available - place >= 4:
                length = data[place] | data[place + 1] << 8 | data[place + 2] << 16
                end = place + 4 + length
                if end > available:
                    break
                packet, place = data[place + 4 : end], end
                if pieces or length == _SEVERAL_PACKETS:
                    pieces.append(packet)
                    if length == _SEVERAL_PACKETS:
                        continue
                    packet = b"".join(pieces)
                    pieces.clear()
                if packet[0] >= _EOF and (len(packet) < 9 or packet[0] == _ERROR):
                    last = True
                    break
                packets.append(packet)
            yield packets
            data = data[place:]
        self._finish(packet)

    def _finish(self, packet: bytes) -> None:
        self._result.unbuffered_active = False
        self._result.connection = None
        if packet[0] == _ERROR:
            raise_mysql_exception(packet)

    def _received(self, stream: Any) -> bytes:
        data: bytes = stream.read1(_CHUNK)
        if not data:
            self._result.unbuffered_active = False
            self._connection._force_close()
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "Lost connection during query")
        return data

    def _cells(self, packet: bytes) -> Cells:
        cells: Cells = []
        place = 0
        for _ in range(self._columns):
            length = packet[place]
            place += 1
            if length == _NULL:
                cells.append(None)
                continue
            if length in _LENGTHS:
                size = _LENGTHS[length]
                length = int.from_bytes(packet[place : place + size], "little")
                place += size
            cells.append(packet[place : place + length])
            place += length
        return cells


class Kept:
    """Rows in files without a name, which nothing can leave behind; and their keys, which are
    wanted alone as well. Both can be read at the same time."""

    def __init__(self, rows: IO[bytes], keys: IO[bytes]) -> None:
        self._rows = rows
        self._keys = keys
        self.count = 0

    @classmethod
    @contextmanager
    def of(cls, arriving: Iterable[Row], scratch: Path) -> Generator[Kept]:
        """Keep rows below `scratch`. Raises StorageError when there is no room."""
        make_directory(scratch)
        with ExitStack() as opened:
            with storage_errors(scratch):
                rows, keys = (
                    opened.enter_context(tempfile.TemporaryFile(dir=scratch)) for _ in range(2)
                )
                kept = cls(rows, keys)
                kept._write(arriving)
            yield kept

    def _write(self, arriving: Iterable[Row]) -> None:
        rows = iter(arriving)
        while page := list(islice(rows, _PAGE)):
            self.count += len(page)
            self._rows.write(b"".join([b"%b\t%b\n" % row for row in page]))
            self._keys.write(b"".join([b"%b\n" % key for key, _ in page]))
        for handle in (self._rows, self._keys):
            handle.seek(0)

    def rows(self) -> Iterator[Row]:
        """The rows, in order; to be asked for once."""
        for line in self._rows:
            key, _, row = line.partition(b"\t")
            yield key, row[:-1]

    def keys(self) -> Iterator[bytes]:
        """The keys, in order; to be asked for once."""
        for line in self._keys:
            yield line[:-1]


def _canonical(row: bytes) -> bytes:
    """The row with its escapes as PostgreSQL and orjson write them: in hexadecimal numbers MariaDB
    has capitals."""
    return orjson.dumps(orjson.loads(row)) if b"\\u" in row else row


def _unwritable(key: bytes) -> SourceError:
    return SourceError(
        f"S9 cannot write the row with the key {key.decode()} as text: it is longer than the "
        "server's max_allowed_packet, or holds text that is not valid in its character set",
        remedy="raise max_allowed_packet on the server, or correct the row; then run again",
    )
