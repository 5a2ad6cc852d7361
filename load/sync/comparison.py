"""A new transformed file beside what the target is known to hold, record by record.

Both are in the order of S9's keys, so they are gone through once, side by side, in constant memory.
Most of a living S9 is as it was: whole pieces are compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from load.sync.known_records import KnownRecord, KnownRecords, key_of_record
from utils.error_handler import ArtifactError
from utils.files.artifacts import split_records
from utils.files.elsewhere import range_of
from utils.files.pieces import whole_records
from utils.wording.invocation import command

_PIECE = 1 << 16  # bytes: the smaller, the fewer of a piece are looked at for one change in it


class Same(NamedTuple):
    """Records that are as they were written last: their lines; the first begins at byte `place`."""

    place: int
    lines: Sequence[bytes]
    records: int


class Changed(NamedTuple):
    """A record that is not; `known` is what was written last, None when nothing was."""

    place: int
    lines: Sequence[bytes]
    known: KnownRecord | None


class Gone(NamedTuple):
    """A record that was written, and is in the new file no more."""

    known: KnownRecord


def compare(path: Path, known: KnownRecords) -> Iterator[Same | Changed | Gone]:
    """How a transformed file stands to what is known. Raises ArtifactError when the records of the
    file are not in the order of their keys."""
    before: int | None = None
    for piece in whole_records(path, target=_PIECE):
        data = range_of(path, piece.start, piece.end - piece.start)
        lines = BytesIO(data).readlines()
        records = list(split_records(lines))
        first, last = key_of_record(records[0][0]), key_of_record(records[-1][0])
        _require_order(path, before, first)
        if known.skip_same(data, last):
            yield Same(piece.start, lines, len(records))
            before = last
            continue
        place = piece.start
        for record in records:
            key = key_of_record(record[0])
            _require_order(path, before, key)
            for each in known.up_to(key):
                if not each.is_withdrawn:
                    yield Gone(each)
            yield _beside(place, record, known.at(key))
            place += sum(map(len, record))
            before = key
    for each in known.rest():
        if not each.is_withdrawn:
            yield Gone(each)


def _beside(place: int, record: Sequence[bytes], known: KnownRecord | None) -> Same | Changed:
    if known is not None and known.is_withdrawn:
        known = None
    if known is not None and known.is_written and known.is_same_as(record):
        return Same(place, record, 1)
    return Changed(place, record, known)


def _require_order(path: Path, before: int | None, key: int) -> None:
    if before is not None and key <= before:
        raise ArtifactError(
            f"{path} is not in the order of S9's keys ({key} after {before})",
            remedy=f"transform again: {command(f'--phase transform --entity {path.stem}')}",
        )
