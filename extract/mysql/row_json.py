"""A row as JSON text, built by MySQL or MariaDB itself, byte for byte as PostgreSQL writes it.

Their own JSON_OBJECT puts blanks between names and values, and MySQL sorts the names; so the text
is concatenated. Any part that cannot be written (a text that is not valid in its own character
set, a row beyond max_allowed_packet) makes the whole row NULL, and the reader stops there: no
value is lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.converters import escape_string

from extract.selection import Field, SourceColumn

_INTEGERS = {
    FIELD_TYPE.TINY,
    FIELD_TYPE.SHORT,
    FIELD_TYPE.INT24,
    FIELD_TYPE.LONG,
    FIELD_TYPE.LONGLONG,
    FIELD_TYPE.YEAR,
}
_DECIMALS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
_APPROXIMATE = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
_DAYS = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.TIME}
_TIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_NO_FIXED_SCALE = 31  # of a FLOAT or DOUBLE without (M, D)
FLOAT_MARK = "\x02"  # before and after a FLOAT: no text has it, as JSON escapes it
_BINARY = 63  # the number of the character set `binary`


@dataclass(frozen=True)
class MySqlColumn(SourceColumn):
    """A column as the protocol describes it: type and flags (of PyMySQL's constants), length in
    bytes, digits after the point, character set."""

    type: int = FIELD_TYPE.VAR_STRING
    flags: int = 0
    length: int = 0
    scale: int = 0
    charset: int = 0

    @property
    def is_text(self) -> bool:
        """Whether its values are characters; JSON is handed over as the text that it is."""
        binary = self.charset == _BINARY and self.type != FIELD_TYPE.JSON
        return not (binary or self.is_decimal or self.type in _TIMES | _DAYS)


def column_of(field: Any) -> MySqlColumn:
    """The column of a field descriptor of the protocol."""
    return MySqlColumn(
        name=field.name,
        is_integer=field.type_code in _INTEGERS,
        is_decimal=field.type_code in _DECIMALS | _APPROXIMATE,
        is_zoned=field.type_code == FIELD_TYPE.TIMESTAMP,
        is_approximate=field.type_code in _APPROXIMATE,
        family=str(field.type_code),
        type=field.type_code,
        flags=field.flags,
        length=field.length,
        scale=field.scale,
        charset=field.charsetnr,
    )


def json_object(parts: Iterable[tuple[str, str]]) -> str:
    """The SQL of a JSON object: names, each with the SQL of its value as JSON text."""
    opening, sql = "{", []
    for name, value in parts:
        sql.append(f"{_literal(f'{opening}{_quoted(name)}:')}, {value}")
        opening = ","
    return f"CONCAT({', '.join(sql)}, {_literal('}')})"


def json_fields(
    fields: Iterable[Field], quote: Callable[[str], str], alias: str
) -> list[tuple[str, str]]:
    """The parts of `json_object` for columns of the table `alias`."""
    return [
        (field.name, json_value(f"{alias}.{quote(field.column.name)}", field.column))
        for field in fields
    ]


def json_value(reference: str, column: SourceColumn) -> str:
    """The SQL of one column's value as JSON text."""
    assert isinstance(column, MySqlColumn)
    present = _present(reference, column)
    return present if column.flags & FLAG.NOT_NULL else or_null(reference, present)


def or_null(reference: str, present: str) -> str:
    """The SQL of a value as JSON text, given that of one that is there."""
    return f"IF({reference} IS NULL, 'null', {present})"


def text_of(reference: str) -> str:
    """The SQL of a text in UTF-8, whatever its character set is."""
    return f"CONVERT({reference} USING utf8mb4)"


def quoted(text: str) -> str:
    """The SQL of a text in UTF-8 as a JSON string."""
    return f"JSON_QUOTE({text})"


def integer(reference: str, column: SourceColumn) -> str:
    """The SQL of a whole number without leading zeros, which ZEROFILL would write."""
    assert isinstance(column, MySqlColumn)
    plain = not column.flags & FLAG.ZEROFILL and column.type != FIELD_TYPE.BIT
    return reference if plain else f"({reference} + 0)"


def _present(reference: str, column: MySqlColumn) -> str:
    if column.is_integer or column.type == FIELD_TYPE.BIT:
        number = integer(reference, column)
        if column.length != 1 or column.type not in (FIELD_TYPE.TINY, FIELD_TYPE.BIT):
            return number
        return f"CASE {number} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {number} END"
    if column.is_text:
        return quoted(text_of(reference))
    return f"CONCAT('\"', {_unquoted(reference, column)}, '\"')"


def _unquoted(reference: str, column: MySqlColumn) -> str:
    """What of itself needs no escaping in a JSON string."""
    if column.is_decimal:
        return _decimal(reference, column)
    if column.is_zoned:
        return _instant(reference, column)
    if column.type in _TIMES:
        return _time(reference, column)
    if column.type in _DAYS:
        return reference
    return f"'\\\\\\\\x', LOWER(HEX({reference}))"  # binary, as PostgreSQL's bytea


def _decimal(reference: str, column: MySqlColumn) -> str:
    if column.type == FIELD_TYPE.FLOAT and column.scale == _NO_FIXED_SCALE:
        # Written with six digits: the reader makes the shortest decimal of the double's.
        return f"'{FLOAT_MARK}', ({reference} + 0e0), '{FLOAT_MARK}'"
    if not column.flags & FLAG.ZEROFILL:
        return reference
    if column.type in _DECIMALS or column.scale == _NO_FIXED_SCALE:
        return f"({reference} + 0)"
    return f"CAST({reference} AS DECIMAL(65, {column.scale}))"


def _instant(reference: str, column: MySqlColumn) -> str:
    """A TIMESTAMP in UTC: its seconds are what is stored, whatever the session's zone, so that
    nothing is lost in the hour that comes twice. 0 is MySQL's zero date, and stays it."""
    zero = f"{reference} = '0000-00-00 00:00:00'"
    seconds = f"UNIX_TIMESTAMP({reference})"
    utc = f"('1970-01-01 00:00:00' + INTERVAL {seconds} SECOND)"
    if column.scale:
        utc = f"('1970-01-01 00:00:00.000000' + INTERVAL {seconds} SECOND)"
    return f"IF({zero}, '0000-00-00T00:00:00', CONCAT({_time(utc, column)}, 'Z'))"


def _time(reference: str, column: MySqlColumn) -> str:
    """A moment in ISO form; of its fraction only what is not zero, as PostgreSQL writes it."""
    whole = f"LEFT({reference}, 19)" if column.scale else reference
    iso = f"REPLACE({whole}, ' ', 'T')"
    if not column.scale:
        return iso
    exact = f"REPLACE(TRIM(TRAILING '0' FROM {reference}), ' ', 'T')"
    return f"IF(MICROSECOND({reference}) = 0, {iso}, {exact})"


def _literal(text: str) -> str:
    return f"'{escape_string(text)}'"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
