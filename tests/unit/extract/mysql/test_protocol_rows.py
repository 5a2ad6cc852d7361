"""Rows of the protocol, read as PyMySQL reads them; and rows that are kept on disk."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymysql.constants import CR
from pymysql.cursors import SSCursor

from extract.mysql import protocol_rows
from extract.mysql.protocol_rows import Arriving, SpooledRows
from extract.source import Row
from utils.error_handler import SourceError

_TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b""))
_ROWS = st.lists(st.tuples(_TEXT, _TEXT), max_size=30)


@given(rows=_ROWS, block=st.integers(1, 64), page=st.integers(1, 90))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_were_wherever_a_block_ends(
    rows: list[Row], block: int, page: int, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol_rows, "_BLOCK", block)
        patch.setattr(protocol_rows, "_PAGE", 7)
        patch.setattr(protocol_rows, "_PAGE_BYTES", page)
        with SpooledRows.of(iter(rows), tmp_path) as kept:
            assert kept.count == len(rows)
            both = zip(kept.rows(), kept.keys(), strict=True)  # in step, as they are read
            assert [(*row, key) for row, key in both] == [(*row, row[0]) for row in rows]
    assert list(tmp_path.iterdir()) == []


def test_of_large_rows_one_is_held_at_a_time(tmp_path: Path) -> None:
    """On their way to the disk, and back."""
    large, count = 4 << 20, 20

    def arriving() -> Iterator[Row]:
        for number in range(3 * count):
            yield b"%d" % number, b"x" * (100 if number % 3 else large)

    tracemalloc.start()
    with SpooledRows.of(arriving(), tmp_path) as kept:
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        total = sum(len(row) for _, row in kept.rows())
        read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == count * large + 2 * count * 100
    assert written < 2.5 * large  # the one, and the next
    assert read < 4.5 * large  # the blocks of one, put together, cut out, and the one before it


# A server's answer to one query, as bytes.

Cell = bytes | None
_EOF = b"\xfe\x00\x00\x02\x00"
_LONGEST = (1 << 24) - 1
_LOST = "Lost connection to MySQL server during query"
_KILLED = b"\xff" + struct.pack("<H", 1317) + b"#70100Query execution was interrupted"
_SHUT_DOWN = b"\xff" + struct.pack("<H", 1927) + b"#70100Connection was killed"


def _counted(text: bytes) -> bytes:
    """A text after its length."""
    size = len(text)
    if size < 251:
        return bytes([size]) + text
    for first, format_, most in ((0xFC, "<H", 1 << 16), (0xFD, "<I", 1 << 24)):
        if size < most:
            return bytes([first]) + struct.pack(format_, size)[: 2 + (first == 0xFD)] + text
    return b"\xfe" + struct.pack("<Q", size) + text


def _packet_of(row: Sequence[Cell]) -> bytes:
    return b"".join(b"\xfb" if cell is None else _counted(cell) for cell in row)


def _column(name: bytes) -> bytes:
    names = [b"def", b"", b"", b"", name, b""]
    return b"".join(map(_counted, names)) + struct.pack("<BHIBHBH", 12, 63, 1024, 0xFC, 0, 0, 0)


def _wire(packets: Sequence[bytes], longest: int = _LONGEST, wrong_at: int = -1) -> bytes:
    """Packets with their headers; those that are too long go on in the next. `wrong_at` is the
    place of one that has another's number."""
    sent, number = [], 1
    for place, packet in enumerate(packets):
        rest = packet
        while True:
            part, rest = rest[:longest], rest[longest:]
            said = number + (place == wrong_at)
            sent += [struct.pack("<I", len(part))[:3], bytes([said % 256]), part]
            number += 1
            if len(part) < longest:
                break
    return b"".join(sent)


def _answer(columns: int, rows: Sequence[Sequence[Cell]], end: bytes) -> list[bytes]:
    """The packets of an answer, up to the one that ends it."""
    names = [_column(b"c%d" % place) for place in range(columns)]
    return [bytes([columns]), *names, _EOF, *map(_packet_of, rows), end]


class _Chunks(io.RawIOBase):
    """A socket that hands out so many bytes at a time; then it is closed by the other end, or
    breaks with `error`."""

    def __init__(self, data: bytes, sizes: Sequence[int], error: OSError | None = None) -> None:
        self._data = memoryview(data)
        self._sizes = cycle(sizes)
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data and self._error:
            raise self._error
        size = min(next(self._sizes), len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


class _Socket:
    def sendall(self, _data: bytes) -> None: ...
    def settimeout(self, _seconds: float | None) -> None: ...
    def close(self) -> None: ...


def _connected(data: bytes, sizes: Sequence[int], error: OSError | None = None) -> Any:
    """A connection of PyMySQL's to a server that has this to say."""
    connection: Any = pymysql.Connection(
        defer_connect=True, use_unicode=False, conv={}, charset="utf8mb4"
    )
    connection._sock = _Socket()
    connection._rfile = io.BufferedReader(_Chunks(data, sizes, error))
    connection._closed, connection._current_timeout = False, None
    return connection


def _by_pymysql(connection: Any) -> tuple[list[tuple[bytes, ...]], BaseException | None]:
    """What PyMySQL itself reads, in the form of `Arriving`, and the error that ends it."""
    found: list[tuple[bytes, ...]] = []
    cursor = connection.cursor(SSCursor)
    try:
        cursor.execute("SELECT")
        while row := cursor.fetchone():
            key, *references, text = [cell if cell is not None else b"" for cell in row]
            if row[-1] is None:
                raise SourceError("unwritable", remedy="")
            found.append((key, text, *references))
    except (pymysql.Error, OSError, SourceError) as error:
        return found, error
    finally:
        if cursor._result is not None:  # there is nothing more to be read
            cursor._result.unbuffered_active = False
    return found, None


def _by_arriving(
    connection: Any, *, references: bool
) -> tuple[list[tuple[bytes, ...]], BaseException | None]:
    found: list[tuple[bytes, ...]] = []
    try:
        with closing(Arriving(connection, "SELECT")) as arriving:
            read: Callable[[], Any] = (
                arriving.pages_with_references if references else arriving.pages
            )
            for page in read():
                found += page
    except (pymysql.Error, OSError, SourceError) as error:
        return found, error
    return found, None


_NUMBER = st.integers(-(2**63), 2**64 - 1).map(lambda number: str(number).encode())
_JSON = st.one_of(
    st.binary(max_size=60),
    st.integers(240, 260).map(lambda size: b"x" * size),
).map(lambda text: text.replace(b"\\", b"/").replace(b"\x02", b"."))
_SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=8)
_ENDS = st.sampled_from([_EOF, _KILLED, _SHUT_DOWN])


@given(
    keys=st.lists(st.tuples(_NUMBER, st.none() | _NUMBER, _NUMBER), max_size=12),
    texts=st.lists(_JSON, min_size=12, max_size=12),
    unwritable=st.none() | st.integers(0, 11),
    references=st.integers(0, 2),
    end=_ENDS,
    sizes=_SIZES,
    longest=st.sampled_from([_LONGEST, 100, 251, 255]),
    cut=st.none() | st.integers(1, 400),
    wrong_at=st.one_of(st.just(-1), st.integers(5, 18)),
)
@example(
    keys=[(b"1", None, b"2")] * 300,
    texts=[b"{}"] * 300,  # more than there are numbers of packets
    unwritable=None,
    references=0,
    end=_EOF,
    sizes=[7],
    longest=_LONGEST,
    cut=None,
    wrong_at=-1,
)
@settings(deadline=None)
def test_rows_are_what_pymysql_reads_wherever_the_bytes_are_parted(
    keys: list[tuple[Cell, ...]],
    texts: list[bytes],
    unwritable: int | None,
    references: int,
    end: bytes,
    sizes: list[int],
    longest: int,
    cut: int | None,
    wrong_at: int,
) -> None:
    rows: list[tuple[Cell, ...]] = [
        (*key[: 1 + references], None if place == unwritable else text)
        for place, (key, text) in enumerate(zip(keys, texts, strict=False))
    ]
    data = _wire(_answer(2 + references, rows, end), longest, wrong_at)
    data = data if cut is None else data[: -min(cut, len(data) - 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pymysql.connections.MAX_PACKET_LEN", longest)
        patch.setattr(protocol_rows, "_SEVERAL_PACKETS", longest)
        theirs, their_error = _by_pymysql(_connected(data, sizes))
        connection = _connected(data, sizes)
        ours, our_error = _by_arriving(connection, references=bool(references))
    if isinstance(their_error, pymysql.InternalError):  # a number is wrong: it is given up here
        their_error = pymysql.OperationalError(CR.CR_SERVER_LOST, _LOST)
    assert type(our_error) is type(their_error)
    if their_error is None:
        assert ours == theirs
    else:  # of the last page, whose rows came with what was wrong, none is handed out
        assert ours == theirs[: len(ours)]
    if isinstance(their_error, pymysql.Error):
        assert isinstance(our_error, pymysql.Error)
        assert our_error.args == their_error.args


@pytest.mark.parametrize("size", [70_000, _LONGEST - 1, _LONGEST, _LONGEST + 1, 20 << 20, 32 << 20])
@pytest.mark.parametrize("parts", [60_000, 1 << 30])
def test_a_row_as_long_as_a_packet_or_longer(size: int, parts: int) -> None:
    """`size` is that of the row's packet; so much arrives at a time."""
    row = (b"7", b"x" * (size - len(b"17") - (4 if size - 6 < 1 << 24 else 9)))
    assert len(_packet_of(row)) == size
    data = _wire(_answer(2, [(b"6", b"{}"), row, (b"8", b"{}")], _EOF))
    ours, error = _by_arriving(_connected(data, [parts]), references=False)
    assert error is None
    assert ours == [(b"6", b"{}"), row, (b"8", b"{}")]


def test_a_connection_that_breaks_is_no_end_of_the_rows() -> None:
    data = _wire(_answer(2, [(b"1", b"{}")], _EOF))[:-9]
    broken = _connected(data, [65_536], ConnectionResetError("reset"))
    ours, error = _by_arriving(broken, references=False)
    assert ours == [(b"1", b"{}")]
    assert isinstance(error, (OSError, pymysql.OperationalError))


def test_what_is_left_in_the_middle_gives_the_connection_up() -> None:
    connection = _connected(_wire(_answer(2, [(b"1", b"{}")] * 9, _EOF)), [50])
    arriving = Arriving(connection, "SELECT")
    assert next(chain.from_iterable(arriving.pages()))
    arriving.close()
    assert not connection.open
