"""Counts and amounts that are added up, exactly: nothing is ever rounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from operator import add, sub

from utils.sums.exact import EXACT

_NUMBER = re.compile(rb"[+-]?[0-9]{1,170}(?:\.[0-9]{0,170})?(?:[eE][+-]?[0-9]{1,2})?").fullmatch
_RARE = re.compile(rb"[+-]?[0-9]{0,40}\.?[0-9]{1,40}[eE][+-]?1[0-9]{2}").fullmatch
ZERO = Decimal(0)


def amount_of(text: bytes) -> Decimal | None:
    """The number that a text says as DynamoDB or a database writes one; None where it says none."""
    if _NUMBER(text) is None and _RARE(text) is None:
        return None
    return Decimal(text.decode())


SCALE = 4  # decimals of what is added up as whole numbers: exact, and twice as fast
_NOUGHTS = tuple(b"0" * (SCALE - decimals) for decimals in range(SCALE + 1))


def scaled_amount_of(text: bytes) -> int | None:
    """The number that a text says, in units of 10^-SCALE, where that is one by the usual way of
    writing; None for any other text."""
    whole, _, decimals = text.partition(b".")
    if len(decimals) > SCALE or not whole.isdigit() or not (decimals or b"0").isdigit():
        return None
    return int(whole + decimals + _NOUGHTS[len(decimals)])


def plain(amount: Decimal) -> str:
    """An amount without exponent, and with no zeros that say nothing."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(slots=True)
class Figures:
    """So many records with so many lines; the sum of each amount, and how many records have none
    (`without`). Nobody changes one: it is not frozen because they are made by the hundred
    thousand."""

    records: int
    lines: int
    amounts: tuple[Decimal, ...]
    without: tuple[int, ...]

    @classmethod
    def none(cls, amounts: int) -> Figures:
        """Of nothing, with so many amounts."""
        return cls(0, 0, (ZERO,) * amounts, (0,) * amounts)

    @property
    def is_nothing(self) -> bool:
        """Whether there are no records, no lines and no amounts in it."""
        return not (self.records or self.lines or any(self.amounts))

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.records + other.records,
            self.lines + other.lines,
            tuple(map(EXACT.add, self.amounts, other.amounts)),
            tuple(map(add, self.without, other.without)),
        )

    def __neg__(self) -> Figures:
        return Figures(
            -self.records,
            -self.lines,
            tuple(map(EXACT.minus, self.amounts)),
            tuple(-one for one in self.without),
        )

    def __sub__(self, other: Figures) -> Figures:
        return Figures(
            self.records - other.records,
            self.lines - other.lines,
            tuple(map(EXACT.subtract, self.amounts, other.amounts)),
            tuple(map(sub, self.without, other.without)),
        )

    def as_text(self) -> bytes:
        """One text without tab and line break, of which `from_text` makes the same."""
        parts = (self.records, self.lines, *self.without, *map(str, self.amounts))
        return " ".join(map(str, parts)).encode()

    @classmethod
    def from_text(cls, text: bytes) -> Figures:
        """What `as_text` has written."""
        parts = text.decode().split(" ")
        half = (len(parts) - 2) // 2
        return cls(
            int(parts[0]),
            int(parts[1]),
            tuple(map(Decimal, parts[2 + half :])),
            tuple(map(int, parts[2 : 2 + half])),
        )
