"""Which records of a piece of a transformed file are byte for byte those that have passed the gate
in the last pass, with nothing to be noted about them: what is particular to a record is not asked
of these again. What is between records is asked of all, each time.

A record with a note is judged again, since the note is told again, in the words of now. So is one
that was refused: it has left the file, or has a note.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from utils.earlier.by_key import data_of, key_of_items, keys_at
from utils.earlier.kept import Keeping
from utils.files.artifacts import ArtifactWriter, split_records
from utils.files.pieces import ByteRange
from utils.files.storage import make_directory


class Earlier(NamedTuple):
    """The file that the gate has let pass, and the keys of its records that have a note, a line
    each, in the order of the file."""

    passed: Path
    noted: Path


class Passed:
    """The records of a piece that have passed before: these (None: all) but for some keys."""

    def __init__(self, records: Collection[bytes] | None, noted: Collection[int]) -> None:
        self._records = records
        self._noted = noted

    def has(self, record: Sequence[bytes]) -> bool:
        """Whether a record is one of them."""
        if self._noted and key_of_items(record[0]) in self._noted:
            return False
        return self._records is None or b"".join(record) in self._records


NONE = Passed(frozenset(), frozenset())


def passed_in(earlier: Earlier, path: Path, place: ByteRange, lines: Sequence[bytes]) -> Passed:
    """Those of a piece of the file at `path`, the lines of whose records these are."""
    keys = keys_at(path, place, key_of_items)
    before = data_of(earlier.passed, keys, key_of_items)
    noted = frozenset(map(int, data_of(earlier.noted, keys, int).split()))
    if before == b"".join(lines):
        return Passed(None, noted)
    records = split_records(BytesIO(before).readlines())
    return Passed({b"".join(record) for record in records}, noted)


def last_passed(keeping: Keeping) -> Earlier | None:
    """What the last pass has kept, if it is proven."""
    kept = keeping.proven()
    if kept is None or kept.digests.keys() != {"passed", "noted"}:
        return None
    return Earlier(keeping.path("passed"), keeping.path("noted"))


class Noted:
    """Gathers the keys of the records that have a note. A context manager: it holds a file."""

    def __init__(self, path: Path) -> None:
        make_directory(path.parent)
        self._writer = ArtifactWriter(path)
        self._all_have_keys = True

    def __enter__(self) -> Noted:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)
        self._writer.partial.unlink(missing_ok=True)

    def add(self, legacy_ids: Iterable[str]) -> None:
        """Take the keys of further records, in the order of the file."""
        for each in legacy_ids:
            self._all_have_keys &= each.removeprefix("-").isdecimal()
            self._writer.write(each.encode() + b"\n", records=1, items=0)

    def keep(self, keeping: Keeping, path: Path, digest: str) -> None:
        """Keep the file that they are in, at `path` and with this SHA-256, for the next pass."""
        if not self._all_have_keys:
            keeping.forget()
            return
        self._writer.flush()
        noted = self._writer.partial, self._writer.sha256
        keeping.keep({"passed": (path, digest), "noted": noted}, {})
