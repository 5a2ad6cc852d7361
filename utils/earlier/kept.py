"""What a phase has kept of an entity when it was done: the file that it was given or made, so that
the next pass of a sync need not do again what it would do to the same lines.

The files are in data/sync, under names of their own: links to files that a later run replaces and
does not change, so that they take no room until then. Beside them is an account
({entity}.{phase}.json): by what they were made (a fingerprint of settings and code), the SHA-256 of
each, and what else the phase has to know. Nothing is believed that does not agree with it, and
nothing of it is needed: what cannot be used is done anew.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

import orjson

from utils.files.artifacts import sha256_of
from utils.files.parts import link, remove_all, size_here
from utils.files.storage import make_directory, storage_errors, write_atomically
from utils.processes.pieces_runner import PiecesRunner
from utils.run.run import Run, settings_digest
from utils.settings.typed_json import fits
from utils.version import whole_code
from utils.wording.masking import disguised

# Of the size of what is kept, what has to be free besides: a run makes such files twice more.
_ROOM = 2


@dataclass(frozen=True)
class Kept:
    """`digests` are the SHA-256 of the kept files, by what they are to the phase; `told` is what
    it has to know besides."""

    fingerprint: str
    digests: Mapping[str, str]
    told: Mapping[str, Any]


class Keeping:
    """What one phase keeps of one entity. `settings` are what its work depends on, besides the
    code."""

    def __init__(self, run: Run, phase: str, entity: str, settings: str) -> None:
        self._directory = run.workspace.last_pass
        self._known = run.known_files
        self._name = f"{entity}.{phase}"
        self._runner: PiecesRunner = run.runner
        self._fingerprint = settings_digest(settings, run.config.source.layout, _ground(run))

    def path(self, kind: str) -> Path:
        """Where a kept file is."""
        return self._directory / f"{self._name}.{kind}"

    @property
    def _account(self) -> Path:
        return self._directory / f"{self._name}.json"

    def keep(self, files: Mapping[str, tuple[Path, str]], told: Mapping[str, Any]) -> None:
        """Keep files, each with its SHA-256, and what there is to be known. Where the file system
        knows no links, or the disk is short of room, nothing is kept. Raises StorageError."""
        self.forget()
        make_directory(self._directory)
        with storage_errors(self._directory):
            size = sum(size_here(path) for path, _ in files.values())
            if shutil.disk_usage(self._directory).free < _ROOM * size:
                return
        try:
            for kind, (path, digest) in files.items():
                with self._known.naming(path, digest):
                    link(path, self.path(kind), copies=False)
        except OSError:
            self.forget()
            return
        digests = {kind: digest for kind, (_, digest) in files.items()}
        body = orjson.dumps(asdict(Kept(self._fingerprint, digests, told)))
        sealed = hashlib.sha256(body).hexdigest().encode()
        write_atomically(self._account, sealed + b"\n" + body + b"\n")

    def forget(self) -> None:
        """Nothing is kept any more: first nobody believes it, then it is gone. Raises
        StorageError."""
        with storage_errors(self._directory):
            self._account.unlink(missing_ok=True)
            remove_all(self._directory.glob(f"{self._name}.*"))

    def proven(self) -> Kept | None:
        """What was kept, if it is by the same settings and the same code, and every file is what it
        was. None where that is not so."""
        with suppress(OSError):
            found = _read(self._account)
            if found is not None and found.fingerprint == self._fingerprint:
                paths = [self.path(kind) for kind in found.digests]
                if [*self._runner.in_order(sha256_of, paths)] == [*found.digests.values()]:
                    return found
        return None


def _read(path: Path) -> Kept | None:
    if not path.exists():
        return None
    sealed, _, body = path.read_bytes().partition(b"\n")
    body = body.removesuffix(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != sealed:
        return None
    kept = Kept(**orjson.loads(body))
    return kept if fits(kept, Kept) else None


def _ground(run: Run) -> list[str]:
    """What the work stands on besides settings: the tool's own code, Python and what parses for
    it, the clock of S9's zone, and the key by which words are masked."""
    versions = platform.python_version(), orjson.__version__
    return [whole_code(), *versions, _zone(run.config.source.timezone), disguised("a probe")]


@cache
def _zone(name: str) -> str:
    """A digest of a time zone's rules, as this machine has them; "" where they come from
    elsewhere."""
    for directory in TZPATH:
        path = Path(directory) / name
        if path.is_file():
            return sha256_of(path)
    return ""
