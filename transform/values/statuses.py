"""Statuses: S9's words for them, and the target's."""

from __future__ import annotations

from collections.abc import Mapping

from transform.rejections import Unconvertible
from transform.values.text import clean, quoted

SALE_STATUSES = frozenset({"draft", "confirmed", "invoiced", "paid", "cancelled"})
CANCELLED = "cancelled"
PROFORMA = "proforma"
"""S9 has no document type of its own for it everywhere: as a status it also names the document."""

_S9_WORDS = {
    "draft": ("bozza", "draft", "new", "to verify", PROFORMA),
    "confirmed": ("confermato", "conf", "confirmed", "ready"),
    "invoiced": ("fatturato", "invoiced", "sent"),
    "paid": ("pagato", "paid"),
    CANCELLED: ("annullato", "annullata", "cancelled", "deleted"),
}


def is_numbered(status: str, document: str) -> bool:
    """Whether a sale (its target status and document type) has a number of its year; which of
    these are in the index of sale numbers is decided over all of them (utils/sale_numbering.py)."""
    return status != CANCELLED and document != PROFORMA


def sale_status_words(further: Mapping[str, str]) -> dict[str, str]:
    """Return S9's words, lower-case, with their target status; `further` words win.

    Raises ValueError when `further` leads to something that is not a status of the target.
    """
    words = {word: status for status, group in _S9_WORDS.items() for word in group}
    for word, status in further.items():
        if status not in SALE_STATUSES:
            raise ValueError(f"statusMapping: {status!r} is not a status of a sale")
        words[word.strip().lower()] = status
    return words


def sale_status(value: object, words: Mapping[str, str]) -> tuple[str, bool]:
    """Return the target status of S9's word, and whether the word is `proforma`.

    Raises Unconvertible (`unknown-status`): an unknown or empty status never becomes a default.
    """
    word = clean(value).lower()
    try:
        return words[word], word == PROFORMA
    except KeyError:
        problem = "not known" if word else "empty"
        raise Unconvertible(
            "unknown-status",
            f"status {quoted(value, words=True)} is {problem}: fix it in S9, or add it to "
            "transformation.statusMapping",
        ) from None
