"""What of a piece of an extracted file is as it was in the last pass, line for line, and became
what it would become again: a transform is a pure function of a line and the rules.

A line that was there and became nothing was refused. It is refused again by transforming it, since
why it is refused is told with the names that S9's columns have now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from utils.earlier.by_key import data_of, key_of_items, keys_at
from utils.files.extracted_rows import key_of_row
from utils.files.pieces import ByteRange, headers_in


class Earlier(NamedTuple):
    """The extracted file of the last pass, and what was made of it (before any numbering)."""

    rows: Path
    items: Path


class Beside(NamedTuple):
    """What is known of a piece. `whole` are the items of all its lines, where all of them are as
    they were; otherwise `made` has what single lines became, `there` are those that were there
    before, and `gone` those that were there and are no more."""

    whole: bytes | None = None
    made: Mapping[bytes, bytes] = {}
    there: Collection[bytes] = frozenset()
    gone: Collection[bytes] = ()


NOTHING = Beside()


def beside(earlier: Earlier, path: Path, place: ByteRange, data: bytes) -> Beside:
    """What is known of a piece of the file at `path`, whose lines are `data`."""
    keys = keys_at(path, place, key_of_row)
    rows = data_of(earlier.rows, keys, key_of_row)
    items = data_of(earlier.items, keys, key_of_items)
    heads = [ByteRange(*each) for each in headers_in(items)]
    if rows == data and len(heads) == rows.count(b"\n"):
        return Beside(items)
    before, now = (set(BytesIO(each).readlines()) for each in (rows, data))
    same = {key_of_row(line): line for line in before & now}
    made = {}
    for head, following in pairwise([*heads, ByteRange(len(items), len(items))]):
        line = same.get(key_of_items(items[head.start : head.end]))
        if line is not None:
            made[line] = items[head.start : following.start - 1]
    return Beside(None, made, before & now, before - now)
