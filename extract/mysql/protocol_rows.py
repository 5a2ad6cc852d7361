"""Rows of MySQL's protocol, read in bulk, and kept on disk while the connection is needed again.

PyMySQL takes a row apart in twenty steps; here it is a key and a text, and both are cut out of what
has arrived, in pages: a third of the time. This is the one place that knows PyMySQL from inside.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import chain
from pathlib import Path
from struct import Struct
from typing import IO, Any

import orjson
import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR
from pymysql.cursors import SSCursor
from pymysql.err import raise_mysql_exception

from extract.mysql.row_json import FLOAT_MARK
from extract.source import Row
from utils.error_handler import SourceError
from utils.files.storage import make_directory, storage_errors
from utils.wording.invocation import again

# Small: what goes from hand to hand stays in the processor's cache.
_CHUNK = _BLOCK = 1 << 16
_PAGE, _PAGE_BYTES = 100, 1 << 20  # rows that are kept at once
_SEVERAL_PACKETS = (1 << 24) - 1  # a packet of this length goes on in the next
_NULL, _EOF, _ERROR = 0xFB, 0xFE, 0xFF
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}  # bytes of a length that does not fit into the first
_HEADER = Struct("<I").unpack_from  # a packet's length in three bytes, and its number in one
_LENGTH = 0xFFFFFF

_MARK = FLOAT_MARK.encode()
_FLOAT = re.compile(_MARK + b"([^\x02]*)" + _MARK)
_FLOAT_DIGITS = 6  # that every FLOAT has; up to three more tell one from the next
_SINGLE = Struct("<f")

Cells = tuple[bytes, ...]


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

    def pages(self) -> Iterator[list[Row]]:
        """Every row of a query with two columns, a number and a JSON text, as many at a time as
        arrive."""
        for packets in self._packets():
            page: list[Row] = []
            for packet in packets:
                end = 1 + packet[0] if packet[0] != _NULL else 1
                key = packet[1:end]
                page.append((key, _row(packet, end, key)))
            yield page

    def pages_with_references(self) -> Iterator[list[Cells]]:
        """The same of a query with more numbers between the two, which come after the text here;
        NULL is empty."""
        between = range(int(self._result.field_count) - 2)
        for packets in self._packets():
            page: list[Cells] = []
            for packet in packets:
                end = 1 + packet[0] if packet[0] != _NULL else 1
                key, references = packet[1:end], []
                for _ in between:
                    start, length = end + 1, packet[end]
                    end = start + length if length != _NULL else start
                    references.append(packet[start:end])
                page.append((key, _row(packet, end, key), *references))
            yield page

    def close(self) -> None:
        """Be done with it, also in the middle."""
        if self._result.unbuffered_active:
            self._result.unbuffered_active = False
            self._connection._force_close()
        self._cursor.close()

    def _packets(self) -> Iterator[list[bytes]]:
        """What is in the packets up to the one that ends the rows, as many at a time as arrive."""
        data, missing, number = b"", 0, self._connection._next_seq_id
        pieces, last = list[bytes](), False
        while not last:
            data += self._received(missing)
            packets, place, available, missing = [], 0, len(data), 0
            while available - place >= 4:
                header = _HEADER(data, place)[0]
                length = header & _LENGTH
                end = place + 4 + length
                if end > available:
                    missing = end - available
                    break
                if header >> 24 != number:
                    packet, last = b"", True
                    break
                number = number + 1 & 0xFF
                packet, place = data[place + 4 : end], end
                if pieces or length == _SEVERAL_PACKETS:
                    pieces.append(packet)
                    if length == _SEVERAL_PACKETS:
                        continue
                    packet = b"".join(pieces)
                    pieces.clear()
                if not packet or (packet[0] >= _EOF and (len(packet) < 9 or packet[0] == _ERROR)):
                    last = True
                    break
                packets.append(packet)
            yield packets
            data = data[place:]
        self._finish(packet)

    def _finish(self, packet: bytes) -> None:
        if not packet:
            raise self._lost()
        self._result.unbuffered_active = False
        self._result.connection = None
        if packet[0] == _ERROR:
            raise_mysql_exception(packet)

    def _received(self, missing: int) -> bytes:
        """What has arrived; of a packet that is longer than that, the `missing` rest at once."""
        stream = self._connection._rfile
        data: bytes = stream.read1(_CHUNK) if missing <= _CHUNK else stream.read(missing)
        if not data:
            raise self._lost()
        return data

    def _lost(self) -> pymysql.Error:
        """Give the connection up: it has ended, or what arrives is out of step. In PyMySQL's
        words."""
        self._result.unbuffered_active = False
        self._connection._force_close()
        return pymysql.OperationalError(
            CR.CR_SERVER_LOST, "Lost connection to MySQL server during query"
        )


class SpooledRows:
    """Rows in files without a name, which nothing can leave behind; and their keys, which are
    wanted alone as well. Both can be read at the same time."""

    def __init__(self, rows: IO[bytes], keys: IO[bytes]) -> None:
        self._rows = rows
        self._keys = keys
        self.count = 0

    @classmethod
    @contextmanager
    def of(cls, arriving: Iterable[Row], scratch: Path) -> Generator[SpooledRows]:
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
        page: list[Row] = []
        size = 0
        for row in arriving:
            size += len(row[1])
            if page and (size > _PAGE_BYTES or len(page) == _PAGE):
                self._keep(page)
                page, size = [], len(row[1])
            page.append(row)
        self._keep(page)
        for handle in (self._rows, self._keys):
            handle.seek(0)

    def _keep(self, page: list[Row]) -> None:
        if not page:
            return
        self.count += len(page)
        self._keys.write(b"\n".join((*[row[0] for row in page], b"")))
        if len(page) == 1:  # it may be large, and is not put together once more
            [(key, row)] = page
            self._rows.writelines((key, b"\n", row, b"\n"))
        else:
            self._rows.write(b"\n".join((*chain.from_iterable(page), b"")))

    def rows(self) -> Iterator[Row]:
        """The rows, in order; to be asked for once."""
        texts = chain.from_iterable(_lines(self._rows))
        return zip(texts, texts, strict=True)

    def keys(self) -> Iterator[bytes]:
        """The keys, in order; to be asked for once."""
        return chain.from_iterable(_lines(self._keys))


def _lines(file: IO[bytes]) -> Iterator[list[bytes]]:
    """The lines of a file without their line breaks, many at a time: JSON has none inside."""
    rest: list[bytes] = []  # of a line, which is put together once, however many blocks it has
    while block := file.read(_BLOCK):
        if b"\n" not in block:
            rest.append(block)
            continue
        lines = b"".join((*rest, block)).split(b"\n")
        rest = [lines.pop()]
        yield lines


def _row(packet: bytes, place: int, key: bytes) -> bytes:
    """The text that begins at `place` of a packet and is the last thing in it."""
    first = packet[place]
    if first in _LENGTHS:
        row = packet[place + 1 + _LENGTHS[first] :]
    elif first < _NULL:
        row = packet[place + 1 :]
    else:
        raise _unwritable(key)
    if _MARK in row:
        row = _FLOAT.sub(_shortest, row)
    return _canonical(row) if b"\\" in row else row


def _shortest(match: re.Match[bytes]) -> bytes:
    """The shortest decimal that is the same FLOAT (single precision) as this double's."""
    value = float(match[1])
    for digits in range(_FLOAT_DIGITS, _FLOAT_DIGITS + 3):
        text = f"{value:.{digits}g}"
        if _SINGLE.unpack(_SINGLE.pack(float(text)))[0] == value:
            return format(Decimal(text), "f").encode()
    return match[1]


def _canonical(row: bytes) -> bytes:
    """The row with its escapes as PostgreSQL and orjson write them: in hexadecimal numbers MariaDB
    has capitals."""
    return orjson.dumps(orjson.loads(row)) if b"\\u" in row else row


def _unwritable(key: bytes) -> SourceError:
    return SourceError(
        f"S9 cannot write the row with the key {key.decode()} as text: it is longer than the "
        "server's max_allowed_packet, or holds text that is not valid in its character set",
        remedy="raise max_allowed_packet on the server, or correct the row; then: " + again(),
    )
