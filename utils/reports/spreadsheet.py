"""Tables for a spreadsheet in an Italian office: fields are separated by semicolons, as Excel
expects where the comma is the decimal sign, and the file begins with the mark by which it knows
UTF-8. What a spreadsheet would take for a formula has an apostrophe before it."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from pathlib import Path

from utils.files.storage import open_private

SEPARATOR = ";"
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
)
# What Excel, LibreOffice and Google Sheets begin a formula with, also in full width.
_FORMULA = re.compile(r"\s*[=+\-@|＝＋－＠]")


def spreadsheet(path: Path) -> io.TextIOWrapper:
    """Open a file for a table; the caller closes it. Raises StorageError."""
    return io.TextIOWrapper(
        open_private(path, "wb"), "utf-8-sig", errors="backslashreplace", newline=""
    )


def cell(text: str) -> str:
    """A text as a spreadsheet shows it and does nothing else with it."""
    text = _UNPRINTABLE.sub(" ", text)
    return f"'{text}" if _FORMULA.match(text) else text


def number_cell(number: int | Decimal, decimals: int = 0) -> str:
    """A number as a spreadsheet of that office reads it: with a decimal comma, at least so many
    decimals, and no more than it has."""
    text = format(number, "f")
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0").ljust(decimals, "0")
    return f"{whole},{rest}" if rest else whole
