"""Amounts and labels in MySQL's and MariaDB's SQL, for what S9 adds up itself."""

from __future__ import annotations

from pymysql.constants import FIELD_TYPE

from extract.mysql.row_json import MySqlColumn, integer, json_value, or_null, quoted, text_of
from extract.selection import Amount, Label, SourceColumn
from utils.sums.source_sums import MOST_DECIMALS, MOST_DIGITS

_PLAIN = f"^-?[0-9]{{1,{MOST_DIGITS}}}([.][0-9]{{1,{MOST_DECIMALS}}})?$"
_TOO_LARGE = "1" + "0" * MOST_DIGITS


def amount_of(reference: str, column: SourceColumn) -> Amount:
    """An amount of any column. A FLOAT has no decimal digits of its own that the server would
    tell: it is never plain."""
    assert isinstance(column, MySqlColumn)
    if column.is_integer:
        number = f"CAST({integer(reference, column)} AS DECIMAL(65, 0))"
        return Amount(number, f"{reference} IS NOT NULL")
    if column.type == FIELD_TYPE.FLOAT:
        return Amount("NULL", "FALSE")
    if column.is_decimal and not column.is_approximate:
        if column.length - column.scale <= MOST_DIGITS:  # by its type no value has more digits
            return Amount(reference, f"{reference} IS NOT NULL")
        return Amount(reference, f"COALESCE(ABS({reference}) < {_TOO_LARGE}, FALSE)")
    text = f"TRIM(CONVERT({reference} USING utf8mb4))"
    plain = f"COALESCE({text} REGEXP '{_PLAIN}' AND INSTR({text}, CHAR(10)) = 0, FALSE)"
    return Amount(f"CAST({text} AS DECIMAL(65, {MOST_DECIMALS}))", plain)


def label_of(reference: str, column: SourceColumn) -> Label:
    """A value; as bytes, which are compared as they are. A text is quoted only where it is shown:
    quoted it may be six times as long, and rows are not grouped in memory by what is long."""
    assert isinstance(column, MySqlColumn)
    if column.is_text:
        label = or_null("{0}", quoted(text_of("{0}")))
        return Label(f"CAST({text_of(reference)} AS BINARY)", f"CAST({label} AS BINARY)")
    return Label(f"CAST({json_value(reference, column)} AS BINARY)", "{0}")
