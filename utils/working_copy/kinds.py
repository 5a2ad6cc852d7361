"""Which files of a data directory are kept in S3, and when what is in them must be there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path

import orjson

from utils.entities import ENTITY_NAMES
from utils.files.parts import is_part, listed_in, parts_of
from utils.files.storage import partial_of

_ENTITY = f"({'|'.join(ENTITY_NAMES)})"
# What is not complete, is nobody else's, or is made again from what is there.
_NEVER = re.compile(
    r"(.*/)?[^/]*\.(partial|tmp)(/.*)?|(.*/)?[^/]*-(journal|wal|shm)"
    r"|\.(scratch|push|lock|made-for|working-copy\.json)(/.*)?|\.(journal|unnumbered)-.*"
    r"|(dry-run|from-source|demo)(/.*)?"
    rf"|sync/{_ENTITY}\..*"
    r"|reports/spark\.properties"
)
_BARRIER = re.compile(
    r"manifest\.json|cutover\.json|undo/[^/]+\.json|sync/following\.json|import/[^/]+\.json"
)
_GROWING = re.compile(rf"events\.jsonl|reports/[^/]+\.log(\.\d+)?|undo/{_ENTITY}\.requests")
_IN_PLACE = re.compile(r"undo/(earlier/[^/]+/)?[^/]+\.(plan|kept)|import/[^/]+\.objects")
_KEPT_ITEMS = re.compile(rf"undo/(earlier/[^/]+/)?{_ENTITY}\.(before|steps)(\.earlier)?")
_LARGE = re.compile(
    r"(extracted|transformed|quarantine|differences|backups|evidence|undo)/.*|import/.*\.objects"
)
CHECKPOINT = ".checkpoint.json"
SMALL = 1 << 20  # bytes


def is_kept_in_s3(name: str) -> bool:
    """Whether a file, by its name in the data directory, is kept in S3."""
    return not _NEVER.fullmatch(name)


def is_barrier(name: str) -> bool:
    """Whether somebody relies on a file as soon as it is written: what is written elsewhere after
    it is undone, or resumed, by it."""
    return bool(_BARRIER.fullmatch(name))


def is_growing(name: str) -> bool:
    """Whether a file is written to again and again, and nothing is decided by it."""
    return bool(_GROWING.fullmatch(name))


def is_written_in_place(name: str) -> bool:
    """Whether a file is written to under its final name. All others are replaced, by a rename."""
    return is_growing(name) or bool(_IN_PLACE.fullmatch(name))


def holds_kept_items(name: str) -> bool:
    """Whether a file holds items that were kept before the table was changed
    (load/conflicts/kept_file.py)."""
    return bool(_KEPT_ITEMS.fullmatch(name))


def is_looked_at(name: str, size: int) -> bool:
    """Whether a file is what those read who only look."""
    is_of_load = name.startswith("undo/") and name.endswith(".json")
    is_of_backup = name.startswith("backups/") and name.endswith("/backup.json")
    return (not _LARGE.fullmatch(name) or is_of_load or is_of_backup) and (
        size <= SMALL or is_growing(name) or name.startswith("reports/")
    )


def names_in(root: Path) -> Iterator[tuple[str, Path]]:
    """The files of a data directory that are kept in S3, by name; none behind a link. A part is
    kept as soon as it is an artifact's (utils/files/parts.py). Of files that are being replaced
    (utils/run/run.py, Run.replace) both are kept: with the manifest that says so, whoever has the
    directory then replaces them."""
    coming = [partial_of(root / name) for name in _coming(root / "manifest.json")]
    there = [path for path in coming if path.is_file() and not path.is_symlink()]
    yield from _below(root, root, frozenset(chain.from_iterable(map(_parts, there))))
    for path in there:
        yield path.relative_to(root).as_posix(), path


def _coming(manifest: Path) -> Iterable[str]:
    """The names of the files that are being replaced; none where nobody can tell."""
    try:
        return list(orjson.loads(manifest.read_bytes())["coming"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ()


def _parts(path: Path) -> Iterable[Path]:
    found = parts_of(path)
    return () if found is None else found.files


def _below(root: Path, directory: Path, coming: Collection[Path]) -> Iterator[tuple[str, Path]]:
    listed: Collection[Path] | None = None
    for path in sorted(directory.iterdir()):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not is_kept_in_s3(name):
            continue
        if path.is_dir():
            yield from _below(root, path, coming)
        elif path.is_file():
            if is_part(path):
                listed = listed_in(directory) if listed is None else listed
                if path not in listed and path not in coming:
                    continue
            yield name, path
