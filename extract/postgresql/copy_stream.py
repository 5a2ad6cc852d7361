"""Rows that PostgreSQL streams by COPY, as the bytes that the artifact holds."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg2
from psycopg2 import extensions

from extract.postgresql.session import Session
from extract.source import Row

_SEPARATOR = b"\x02"
_COPY = "COPY ({query}) TO STDOUT (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01'{encoding})"
# "No encoding": the server converts nothing and refuses nothing, and hands out the bytes it has.
_AS_THEY_ARE = ", ENCODING 'SQL_ASCII'"
_PIPE_BUFFER = 1 << 18


class RowStream:
    """Rows of a COPY as (key, JSON) pairs, pumped by a thread through a pipe.

    Rows that arrived before a failure are all handed out; then the failure is raised. A text that
    is not valid in the database's encoding comes as bytes that are not valid UTF-8.
    """

    def __init__(self, session: Session, query: str) -> None:
        self._session = session
        self._convert = _converter(session.connection)
        encoding = _AS_THEY_ARE if self._convert else ""
        self._copy = _COPY.format(query=query, encoding=encoding)
        self._failure: BaseException | None = None
        self._is_over = False
        with session.errors(), session.connection.cursor() as cursor:
            cursor.execute("SAVEPOINT stream")
        reader, writer = os.pipe()
        self._reader = os.fdopen(reader, "rb", buffering=_PIPE_BUFFER)
        self._thread = threading.Thread(target=self._run, args=(writer,), daemon=True)
        self._thread.start()

    def _run(self, descriptor: int) -> None:
        try:
            self._pump(descriptor)
        except SystemError as error:  # psycopg2 can leave an error behind that it has raised once
            self._failure = self._failure or error.__cause__ or error

    def _pump(self, descriptor: int) -> None:
        try:
            with (
                os.fdopen(descriptor, "wb", buffering=_PIPE_BUFFER) as sink,
                self._session.connection.cursor() as cursor,
            ):
                cursor.copy_expert(self._copy, sink)
        except BaseException as error:  # handed to the reader, which raises it
            self._failure = error

    def __iter__(self) -> Iterator[Row]:
        convert = self._convert
        for line in self._reader:
            key, _, row = line.partition(_SEPARATOR)
            yield key, convert(row[:-1]) if convert else row[:-1]
        self._thread.join()
        self._is_over = True
        if self._failure is not None:
            with self._session.errors():
                raise self._failure
        self._session.end_stream()

    def close(self) -> None:
        """Stop, also in the middle; the session can be used for other streams."""
        if not self._is_over:
            self._session.cancel()
            with suppress(OSError, ValueError):
                while self._reader.read(_PIPE_BUFFER):  # what is on its way, so that it can end
                    pass
        self._reader.close()
        self._thread.join()
        if not self._is_over or self._failure is not None:
            with suppress(psycopg2.Error), self._session.connection.cursor() as cursor:
                cursor.execute("ROLLBACK TO SAVEPOINT stream")


def _converter(opened: extensions.connection) -> Callable[[bytes], bytes] | None:
    """What makes UTF-8 of a row: None where the server does, which converts a text or ends the
    query. In a database without an encoding it is what it is."""
    encoding = opened.get_parameter_status("server_encoding") or "UTF8"
    if encoding == "UTF8":
        return None
    if encoding == "SQL_ASCII":
        return bytes
    codec = extensions.encodings.get(encoding)
    return None if codec is None else lambda row: _utf8_of(row, codec)


def _utf8_of(row: bytes, codec: str) -> bytes:
    """The row in UTF-8; every byte that means nothing in its own encoding becomes 0xFF, which
    means nothing in UTF-8 either."""
    try:
        return row.decode(codec).encode()
    except UnicodeDecodeError:
        text = row.decode(codec, "surrogateescape")
        return b"".join(
            b"\xff" if "\udc80" <= letter <= "\udcff" else letter.encode() for letter in text
        )
