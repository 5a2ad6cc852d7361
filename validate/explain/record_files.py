"""One record in the files of the data directory: found by its key without reading whole files, and
in encrypted ones by going through them in memory. Nothing is written, nothing locked.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import orjson

from utils.error_handler import MigrationError
from utils.explain.transformed_records import TransformedRecords
from utils.files.artifacts import starts_record
from utils.files.encryption import SUFFIX, decrypt_file, identities, needs_identity
from utils.files.extracted_rows import RowsByKey
from utils.files.findings import Finding
from utils.files.parts import files_of
from utils.files.quarantine import Refusal, parse_refusal
from utils.files.storage import partial_of, storage_errors
from utils.run.run import Run
from utils.wording.invocation import command

_MOST = 50  # records with one number

Found = TypeVar("Found")


@dataclass(frozen=True)
class InFile:
    """What a file has of a record: its `lines`, none where it has none. Where there is no such
    file to be read, `why` says so and `next` what to type."""

    lines: Sequence[bytes] = ()
    why: str = ""
    next: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the file could be asked."""
        return not self.why


class RecordFiles:
    """The files of one entity."""

    def __init__(self, run: Run, entity: str) -> None:
        self._run = run
        self._entity = entity
        self._files = run.workspace

    def extracted(self, key: int) -> InFile:
        """The extracted line of a record."""
        path = self._files.extracted(self._entity)

        def quickly() -> list[bytes]:
            with RowsByKey(path) as rows:
                line = rows.line(key)
            return [] if line is None else [line]

        return self._look(path, "extract", quickly, lambda line: _value(line, "first_id") == key)

    def transformed(self, key: int) -> InFile:
        """The transformed lines of a record."""
        path = self._files.transformed(self._entity)

        def quickly() -> list[bytes]:
            with TransformedRecords(path) as records:
                place = records.place(key)
                return [] if place is None else list(records.lines(place))

        inside = False

        def is_of_it(line: bytes) -> bool:
            nonlocal inside
            if starts_record(line):
                inside = _legacy_id(line) == str(key)
            return inside

        return self._look(path, "transform", quickly, is_of_it)

    def heads_with(self, text: bytes) -> InFile:
        """The transformed lines that open a record and hold a text."""
        path = self._files.transformed(self._entity)

        def quickly() -> list[bytes]:
            return list(_lines_with(path, text))

        found = self._look(path, "transform", quickly, lambda line: text in line)
        return InFile([line for line in found.lines if starts_record(line)], found.why, found.next)

    def rows_with(self, pattern: re.Pattern[bytes]) -> InFile:
        """The extracted lines that have what a pattern finds."""
        path = self._files.extracted(self._entity)

        def quickly() -> list[bytes]:
            return list(_lines_matching(path, pattern))

        return self._look(path, "extract", quickly, lambda line: bool(pattern.search(line)))

    def refusals(
        self, wanted: Callable[[Refusal], bool], hint: str
    ) -> tuple[list[Refusal], InFile]:
        """The entries of the quarantine that are wanted; each holds the text `hint`."""
        path = self._files.quarantine(self._entity)
        text = hint.encode()

        def quickly() -> list[bytes]:
            with path.open("rb") as handle:
                return [line for line in handle if text in line]

        found = self._look(path, "transform", quickly, lambda line: text in line)
        refusals = [parse_refusal(orjson.loads(line)) for line in found.lines]
        return [each for each in refusals if wanted(each)], found

    def findings(self, key: int) -> list[Finding]:
        """What the last validation has listed of a record."""
        path = self._files.validation_findings
        if not path.exists():
            return []
        text = b'"legacyId":"%d"' % key
        with storage_errors(path), path.open("rb") as handle:
            stored = (orjson.loads(line) for line in handle if text in line and _is_whole(line))
            return [
                Finding.of_json(each)
                for each in stored
                if (each.get("entity"), each.get("legacyId")) == (self._entity, str(key))
            ]

    def _look(
        self,
        path: Path,
        phase: str,
        quickly: Callable[[], list[bytes]],
        is_wanted: Callable[[bytes], bool],
    ) -> InFile:
        """What a file has, found `quickly`; in an encrypted one the lines that are wanted."""
        sealed = path.with_name(path.name + SUFFIX)
        try:
            if path.exists():
                with storage_errors(path):
                    return InFile(quickly())
            if sealed.exists():
                return InFile(self._opened(sealed, is_wanted))
        except MigrationError as error:
            return InFile(why=error.message, next=error.remedy)
        except (ValueError, KeyError, TypeError):
            return InFile(
                why=f"{path} is damaged: it is not what the tool writes",
                next=command(f"--phase {phase} --entity {self._entity}"),
            )
        return self._absent(path, phase)

    def _absent(self, path: Path, phase: str) -> InFile:
        kind = path.parent.name
        if partial_of(path).exists():
            return InFile(
                why=f"the {kind} file of {self._entity} is not complete yet: {phase} is at work "
                "on it, or was stopped",
                next=command("status"),
            )
        return InFile(
            why=f"no {kind} file of {self._entity} is here ({path})",
            next=command(f"--phase {phase} --entity {self._entity}"),
        )

    def _opened(self, sealed: Path, is_wanted: Callable[[bytes], bool]) -> list[bytes]:
        setting = self._run.config.data.identity
        if setting is None:
            raise needs_identity(str(sealed))
        lines = _Lines(is_wanted)
        decrypt_file(sealed, lines, identities(Path(setting)))
        return lines.found


class _Lines:
    """Somewhere to decrypt into that keeps the wanted lines and nothing else."""

    def __init__(self, is_wanted: Callable[[bytes], bool]) -> None:
        self._is_wanted = is_wanted
        self._parts: list[bytes] = []
        self.found: list[bytes] = []

    def write(self, data: bytes) -> int:
        *whole, rest = bytes(data).split(b"\n")
        for line in whole:
            text = b"".join((*self._parts, line, b"\n"))
            self._parts = []
            if self._is_wanted(text):
                self.found.append(text)
        self._parts.append(rest)
        return len(data)

    def flush(self) -> None:
        return


def _lines_with(path: Path, text: bytes) -> Iterator[bytes]:
    """The lines of an artifact that hold a text, as quick as the disk is."""
    return _lines_matching(path, re.compile(re.escape(text)))


def _lines_matching(path: Path, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    found = (_matching_in(file, pattern) for _, file in files_of(path))
    return islice(chain.from_iterable(found), _MOST)


def _matching_in(path: Path, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    if not path.stat().st_size:
        return
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        at = 0
        while True:
            found = pattern.search(whole, at)
            if found is None:
                return
            end = whole.find(b"\n", found.end())
            end = len(whole) if end < 0 else end + 1
            yield whole[whole.rfind(b"\n", 0, found.start()) + 1 : end]
            at = end


def _value(line: bytes, column: str) -> int | None:
    try:
        return int(orjson.loads(line)[column])
    except (ValueError, KeyError, TypeError):
        return None


def _legacy_id(line: bytes) -> str:
    try:
        return str(orjson.loads(line)["Item"]["legacyId"]["S"])
    except (ValueError, KeyError, TypeError):
        return ""


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"\n")
