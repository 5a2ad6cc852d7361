"""Amounts and labels in PostgreSQL's SQL, for what S9 adds up itself."""

from __future__ import annotations

from extract.selection import Amount, Label
from utils.sums.source_sums import MOST_DECIMALS, MOST_DIGITS

_PLAIN = rf"^-?[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DECIMALS}}})?$"


def of_integer(reference: str) -> Amount:
    """A whole number."""
    return Amount(f"{reference}::numeric", f"{reference} IS NOT NULL")


def of_numeric(reference: str) -> Amount:
    """A decimal; NaN and the infinities, of which the difference to themselves is not 0, are
    none."""
    plain = (
        f"COALESCE({reference} - {reference} = 0 AND abs({reference}) < 1e{MOST_DIGITS} "
        f"AND scale({reference}) <= {MOST_DECIMALS}, false)"
    )
    return Amount(reference, plain)


def of_text(reference: str) -> Amount:
    """Anything else, by its text."""
    text = f"btrim({reference}::text, ' ')"
    return Amount(f"{text}::numeric", f"COALESCE({text} ~ '{_PLAIN}', false)")


def label_of(value: str) -> Label:
    """A value, given as row_to_json is to write it."""
    return Label(f"COALESCE(to_json({value})::text, 'null') COLLATE \"C\"", "{0}")
