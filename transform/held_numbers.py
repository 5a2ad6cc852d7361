"""The numbers of sales that cannot be converted, as far as they can be read.

S9 has given them; the Sale Module does not know of them until the sales are fixed and loaded
(utils/sale_numbering.py). What cannot be read here is nothing that anybody could say something
about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from transform.rejections import Unconvertible
from transform.values.statuses import PROFORMA, is_numbered, sale_status, sale_status_words
from utils.files.quarantine import read_quarantine
from utils.sale_numbering import Candidate, Numbering, held_numbers

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def held_in(quarantine: Path, rest: Numbering, further_words: Mapping[str, str]) -> dict[str, int]:
    """By year, the highest number in a file of refused sales, where it is above those of the
    `rest`. A sale whose status nobody knows counts; `further_words` are
    `transformation.statusMapping`."""
    words = sale_status_words(further_words)
    refused = Numbering()
    for refusal in read_quarantine(quarantine):
        if candidate := _candidate(refusal.record, words):
            refused.add((candidate,))
    return held_numbers(refused.last.values(), rest)


def _candidate(record: bytes, words: Mapping[str, str]) -> Candidate | None:
    try:
        row: dict[str, Any] = orjson.loads(record)
        number = int(row["sale_number"])
        day = _DAY.match(str(row["sale_date"]))
        year = int(row.get("year") or str(row["sale_date"])[:4])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    counts = is_numbered(*_kind(row, words)) and day is not None and year == int(day[0][:4])
    return Candidate(number, day[0].encode(), b"") if counts and day else None


def _kind(row: Mapping[str, Any], words: Mapping[str, str]) -> tuple[str, str]:
    """The status and the document type of a sale, "" where they cannot be known."""
    document = str(row.get("doc_type") or "").strip().lower()
    try:
        status, is_proforma = sale_status(row.get("status"), words)
    except Unconvertible:
        return "", document
    return status, PROFORMA if is_proforma else document
