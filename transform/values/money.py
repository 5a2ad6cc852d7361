"""Numbers of S9 as DynamoDB numbers: exact decimals, in one canonical form.

Canonical is plain notation without exponent, leading `+`, trailing zeros or a negative zero:
`25.5`, never `25.50` or `2.55E+1`. DynamoDB keeps 38 significant digits; a number that needs more
is refused, never rounded. No binary float lies between the source and the target.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from transform.rejections import Unconvertible
from transform.values.text import quoted

MAX_DIGITS = 38
MAX_INTEGER = 2**53

_USUAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,12})?").fullmatch
_ANY = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?").fullmatch
# The canonical form of a usual number, and zeros that it does without.
_TRIMMED = r"(-?(?:0|[1-9][0-9]{0,19})(?![0-9])(?:\.[0-9]{0,11}[1-9])?)\.?0*"
_USUAL_FIVE = re.compile(" ".join([_TRIMMED] * 5)).fullmatch
_WHOLE = re.compile(r"-?[0-9]{1,19}(?:\.0+)?").fullmatch


class Number(NamedTuple):
    """The number units·10^-scale, with `scale` at least 0; `stored` is it as {"N": …}."""

    units: int
    scale: int
    stored: dict[str, Any]


def decimal(value: object) -> dict[str, Any] | None:
    """Return the N attribute of a number (numeric text or an int); None when NULL or blank.

    Raises Unconvertible (`invalid-number`, `too-many-digits`) for all else: NaN, Infinity, words,
    booleans, binary floats, and magnitudes of 10^39 and more.
    """
    plain = _canonical(value)
    return {"N": plain} if plain else None


def five_decimals(values: Sequence[Any]) -> Sequence[str] | None:
    """Return the canonical forms of five numbers, in a third of the time that they take singly.

    None when one of them is not a text in the form that databases give: `decimal` judges it then.
    """
    try:
        match = _USUAL_FIVE(" ".join(values))
    except TypeError:
        return None
    if match is None:
        return None
    found = match.groups()
    return found if "-0" not in found else None


def number(value: object) -> Number | None:
    """Return a Number to calculate with, or None when NULL or blank. Raises as `decimal`."""
    plain = _canonical(value)
    return canonical_number(plain) if plain else None


def canonical_number(plain: str) -> Number:
    """Return the Number that a text in canonical form is."""
    whole, _, fraction = plain.partition(".")
    return Number(int(whole + fraction), len(fraction), {"N": plain})


def integer(value: object) -> dict[str, Any] | None:
    """Return the N attribute of a whole number within 2^53, or None when it is NULL or blank.

    Raises Unconvertible (`invalid-integer`, `integer-too-large`).
    """
    whole = whole_number(value)
    if whole is None:
        return None
    if not -MAX_INTEGER <= whole <= MAX_INTEGER:
        raise Unconvertible("integer-too-large", f"{whole} is beyond 2^53")
    return {"N": str(whole)}


def whole_number(value: object) -> int | None:
    """Return `value` as an int of any size, or None when it is NULL or blank.

    Whole numeric text is accepted. Raises Unconvertible (`invalid-integer`).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value is None:
        return None
    if isinstance(value, str):
        stripped = value.strip()
        if not stripped:
            return None
        if _WHOLE(stripped):
            return int(stripped.partition(".")[0])
    raise Unconvertible("invalid-integer", f"{quoted(value)} is not a whole number")


def _canonical(value: object) -> str:
    """Return the canonical form of a number, "" for NULL and blanks."""
    if isinstance(value, str):
        if _USUAL(value):
            # At most 32 digits: nothing to check, and the canonical form is a matter of zeros.
            plain = value.rstrip("0").rstrip(".") if "." in value else value
            return plain if plain != "-0" else "0"
        return _canonical_unusual(value)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return _canonical_unusual(str(value))
    raise _not_a_number(value)


def _canonical_unusual(value: str) -> str:
    stripped = value.strip()
    if not stripped:
        return ""
    if not _ANY(stripped):
        raise _not_a_number(value)
    exact = Decimal(stripped)
    if not exact:
        return "0"
    # Within these bounds nothing that is calculated from four numbers leaves the doubles' range.
    if not -MAX_DIGITS <= exact.adjusted() <= MAX_DIGITS:
        raise Unconvertible("invalid-number", f"{quoted(value)} is out of range")
    plain = format(exact, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    refuse_too_many_digits(plain)
    return plain


def refuse_too_many_digits(plain: str) -> None:
    """Raise Unconvertible (`too-many-digits`) when DynamoDB could not keep every digit."""
    digits = plain.lstrip("-").replace(".", "").strip("0")
    if len(digits) > MAX_DIGITS:
        raise Unconvertible(
            "too-many-digits", f"{len(digits)} significant digits; DynamoDB keeps {MAX_DIGITS}"
        )


def _not_a_number(value: object) -> Unconvertible:
    return Unconvertible("invalid-number", f"{quoted(value)} is not a decimal number")
