"""The tool's own code as a zip, for machines that do not have it.

Python imports from it as it is. Spark brings it to the machines of one application, each of which
keeps it beside nobody else's: so runs of several versions on one cluster never meet. On an executor
it is named by a path that goes out from the directory in which the process was started: whoever
leaves that one takes the archive along first (`anchor`). Every process compares what it has
imported with what the first machine has, before it does anything (`require_code`).
"""

from __future__ import annotations

import socket
import sys
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from zipimport import zipimporter

import utils
from utils.error_handler import MigrationError
from utils.files.storage import open_private, storage_errors
from utils.version import PACKAGES, whole_code
from utils.wording.invocation import again

TOOL = Path(__file__).resolve().parents[3]
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same code
_COMPILED = "__pycache__"


def write_code(path: Path, more: Mapping[str, bytes] | None = None) -> None:
    """Write the archive, with `more` files beside the tool's, by their names. Raises
    StorageError."""
    with storage_errors(path), open_private(path, "wb") as file, zipfile.ZipFile(file, "w") as out:
        for name, content in {**dict(_files()), **(more or {})}.items():
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            out.writestr(entry, content)


def _files() -> Iterator[tuple[str, bytes]]:
    for script in sorted(TOOL.glob("*.py")):
        yield script.name, script.read_bytes()
    for package in PACKAGES:
        for path in sorted((TOOL / package).rglob("*")):
            if path.is_file() and _COMPILED not in path.parts:
                yield path.relative_to(TOOL).as_posix(), path.read_bytes()


@cache
def require_code(digest: str) -> None:
    """Raise MigrationError when this process has imported other code than the first machine has."""
    if whole_code() != digest:
        raise MigrationError(
            f"{socket.gethostname()}, a machine of the fleet, runs another version of this tool "
            f"than the first one, from {Path(str(utils.__file__)).parents[1]}",
            remedy="take that away, or put it at the same version (spark.executorEnv.PYTHONPATH, "
            f"spark.submit.pyFiles); then: {again()}",
        )


@cache
def anchor() -> None:
    """Have Python find the archives that it imports from wherever this process goes: its own way,
    that of the packages that it knows, and whoever reads for them. Once is enough: what is imported
    afterwards is found from there."""
    for importer in sys.path_importer_cache.values():
        if isinstance(importer, zipimporter):
            importer.archive = str(Path(importer.archive).absolute())
    ways = [sys.path, *(getattr(each, "__path__", None) for each in list(sys.modules.values()))]
    for way in ways:
        if isinstance(way, list) and any(map(_is_loose, way)):
            way[:] = [str(Path(place).absolute()) if _is_loose(place) else place for place in way]


def forget_importers() -> None:
    """Let go of who reads archives for Python; when something is imported, there is another, who
    knows what is in them. pyspark has all that are there read their archives again before each
    task (pyspark's own has 2,000 files), which takes longer than many a task."""
    for place, importer in list(sys.path_importer_cache.items()):
        if isinstance(importer, zipimporter):
            del sys.path_importer_cache[place]


def _is_loose(place: object) -> bool:
    """Whether a place on Python's way is an archive, named from where the process is."""
    return isinstance(place, str) and ".zip" in place and not Path(place).is_absolute()
