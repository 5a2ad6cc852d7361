"""What a finding comes from, and what a column is called, in words."""

from __future__ import annotations

from utils.entities import shape_of
from utils.files.findings import Cause


def because(cause: Cause | None) -> str:
    """Why a finding is a consequence, as it goes on after "because": "buyer 12 is refused
    (unknown-country)". "" where it is none."""
    if cause is None:
        return ""
    who = f"{shape_of(cause.entity).singular} {cause.key}".strip()
    if cause.why == "refused":
        return f"{who} is refused" + (f" ({cause.reason})" if cause.reason else "")
    if cause.why == "not-selected":
        return f"{who} is in S9 and was not read" + (f": {cause.reason}" if cause.reason else "")
    if cause.why == "absent":
        return f"S9 has no {who}"
    return f"the value is copied from {who}"


def in_words_of_s9(sentence: str, names: tuple[str, ...], column: str) -> str:
    """A sentence about an attribute or a canonical column, which it begins with under one of these
    names, about the column as S9 calls it."""
    for name in names:
        if column and name and sentence.startswith(f"{name} "):
            return column + sentence.removeprefix(name)
    return sentence
