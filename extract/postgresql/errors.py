"""What PostgreSQL says when something goes wrong, as errors with an operator's remedy.

The server's own words may quote a row of S9, in quotes or (RAISE) without any. So an operator is
told the SQLSTATE and words of the tool's own; of the server's words only what names things of the
query, or stands before the first quote; everything where personal data may be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errorcodes

from utils.config import SourceConfig
from utils.error_handler import BackOff, SourceError
from utils.interrupt import Interrupted, StopFlag
from utils.wording.invocation import again
from utils.wording.masking import shows_personal_data, up_to_the_first_quote

_LOST = {
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CANNOT_CONNECT_NOW,
    errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    errorcodes.SERIALIZATION_FAILURE,  # a standby that had to give up the snapshot
}
# After the snapshot: all that is locked has to be given back, and asked for again.
_HELD = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED}
# Without a code of the server these say that the connection broke (libpq speaks, not the server).
_LOST_TYPES = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError)

# What these quote are names of the query and of the catalogue.
_OF_NAMES = {
    errorcodes.UNDEFINED_TABLE,
    errorcodes.UNDEFINED_COLUMN,
    errorcodes.UNDEFINED_FUNCTION,
    errorcodes.AMBIGUOUS_COLUMN,
    errorcodes.INVALID_SCHEMA_NAME,
    errorcodes.INSUFFICIENT_PRIVILEGE,
}
# What happened, by SQLSTATE or by its first two characters (appendix A of PostgreSQL's manual).
_WORDS = {
    errorcodes.UNDEFINED_TABLE: "there is no such table",
    errorcodes.UNDEFINED_COLUMN: "there is no such column",
    errorcodes.UNDEFINED_FUNCTION: "there is no such function or operator for these types",
    errorcodes.INSUFFICIENT_PRIVILEGE: "the account may not read this",
    errorcodes.SYNTAX_ERROR: "the SQL, or an expression in a row, is malformed",
    errorcodes.INVALID_TEXT_REPRESENTATION: "a value cannot be read as the type it is taken for",
    errorcodes.CHARACTER_NOT_IN_REPERTOIRE: "a text is not valid in the database's encoding",
    errorcodes.UNTRANSLATABLE_CHARACTER: "a character of a text does not exist in UTF-8",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "it would write, but this is a read-only transaction",
    errorcodes.QUERY_CANCELED: "the query was cancelled by the server or by an administrator",
    errorcodes.RAISE_EXCEPTION: "a function of S9 has raised an error",
    errorcodes.INVALID_CURSOR_DEFINITION: "it is not a single SELECT",
    "22": "a value of a row does not fit what the query does with it",
    "38": "a function of S9 has failed",
    "42": "the query does not fit the database",
    "53": "the server is short of memory, disk or connections",
    "HV": "a foreign table cannot be read",
    "P0": "a function of S9 has raised an error",
    "XX": "the server reports a defect or damaged data",
}
_QUERY = "check the query or condition in extraction.<entity>"
_REMEDIES = {
    errorcodes.UNDEFINED_TABLE: "check source.database, source.schema and source.layout",
    errorcodes.UNDEFINED_COLUMN: "check source.layout, and the query or condition in "
    "extraction.<entity>",
    errorcodes.INSUFFICIENT_PRIVILEGE: "grant SELECT on all columns of S9's tables to "
    "source.username",
    errorcodes.QUERY_CANCELED: "see the server's log for who ended it, or which limit did "
    "(temporary files, time)",
    errorcodes.READ_ONLY_SQL_TRANSACTION: "remove what writes from the query, condition or view "
    "(extraction.<entity>)",
    errorcodes.INVALID_CURSOR_DEFINITION: "write a single SELECT in extraction.<entity>",
    "53": "free what it is short of on the server",
    "HV": "check that the server behind the foreign table answers",
    "XX": "ask the server's administrator to look at its log and at the table",
}


@contextmanager
def query_errors(config: SourceConfig, stop: StopFlag) -> Iterator[None]:
    """Turn what the server refuses into a SourceError with a remedy, a lost connection into a
    BackOff, and whatever ends a query after a stop was asked for into Interrupted."""
    try:
        yield
    except psycopg2.Error as error:
        if stop.requested:
            raise Interrupted from error
        if error.pgcode in _HELD:
            raise BackOff("TableLocked", spoken(error)) from error
        if is_lost(error):
            raise BackOff("SourceConnectionLost", spoken(error)) from error
        raise refused(config, error) from error


def is_lost(error: psycopg2.Error) -> bool:
    """Whether an error says that the connection, or its snapshot, is there no more."""
    return error.pgcode in _LOST or (error.pgcode is None and type(error) in _LOST_TYPES)


def refused(config: SourceConfig, error: psycopg2.Error) -> SourceError:
    """What the server refused, with a remedy."""
    code = error.pgcode or ""
    own = _WORDS.get(code, _WORDS.get(code[:2], ""))
    said = ": ".join(part for part in (own, spoken(error)) if part)
    return SourceError(
        f"S9 ({config.database}, schema {config.schema}) refused a query "
        f"(SQLSTATE {code or 'unknown'}){f': {said}' if said else ''}",
        remedy=f"{_REMEDIES.get(code, _REMEDIES.get(code[:2], _QUERY))}; then run: {again()}",
    )


def row_security(config: SourceConfig, tables: str) -> SourceError:
    """Rows would be hidden from the account, so that nothing is read."""
    return SourceError(
        f"S9 ({config.database}) has row level security on {tables}, which may hide rows from "
        f"{config.username}: the server refuses to read it in full",
        remedy=f"give the account the right to see every row (ALTER ROLE {config.username} "
        "BYPASSRLS; of a view, its owner needs it), or read as a role that owns the table and is "
        "not forced to keep its policies",
    )


def spoken(error: psycopg2.Error) -> str:
    """What of an error's own words may be told, on one line; "" for none. Hints, details and the
    context never are."""
    said = error.diag.message_primary
    if said is None:  # libpq's words, or psycopg2's: no row is in them
        said = str(error).strip().partition("\n")[0]
        return " ".join(said.split())
    said = " ".join(said.split())
    if shows_personal_data():
        return said
    if error.diag.context:  # a function speaks: it may say anything, under any SQLSTATE
        return ""
    return said if error.pgcode in _OF_NAMES else up_to_the_first_quote(said)
