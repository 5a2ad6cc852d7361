"""Whether a machine of the fleet sees the files of the run: a file with a word that nobody can know
who does not."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from utils.error_handler import StorageError
from utils.files.elsewhere import bind, range_of
from utils.files.storage import make_directory, storage_errors, write_atomically
from utils.fleet.machines.callers import FirstMachine
from utils.fleet.machines.code_archive import anchor
from utils.fleet.machines.file_service import Asking
from utils.wording.invocation import again


@dataclass(frozen=True)
class Witness:
    """The file at `path` has the `word` in it, wherever the data directory is the run's own; the
    run was started in the directory `home`, from which its configuration's paths go out. Who does
    not see that file asks the `first_machine` for what is in the run's files."""

    path: Path
    word: str
    home: Path
    first_machine: FirstMachine | None = None

    @classmethod
    def left_in(cls, scratch: Path) -> Witness:
        """Leave a file with a new word in a directory. Raises StorageError."""
        witness = cls(scratch.resolve() / f"fleet-{secrets.token_hex(6)}", _word(), Path.cwd())
        make_directory(witness.path.parent)
        write_atomically(witness.path, witness.word.encode())
        return witness

    def asking(self, first_machine: FirstMachine) -> Witness:
        """The same, with whom to ask."""
        return replace(self, first_machine=first_machine)

    def find_files(self) -> None:
        """Be in the same directory as the run, if there is one here, and find the run's files: here
        or by asking. Raises BackOff when the first machine does not answer, and StorageError where
        nobody is to be asked."""
        anchor()
        with suppress(OSError):
            os.chdir(self.home)
        if self._is_here():
            bind(None)
        elif self.first_machine is None:
            raise self._not_seen()
        else:
            bind(_reached(self))

    def _is_here(self) -> bool:
        try:
            return self.path.read_text(encoding="utf-8") == self.word
        except OSError:
            return False

    def _not_seen(self) -> StorageError:
        return StorageError(
            f"{socket.gethostname()}, a machine of the fleet, does not see the files of "
            f"data.directory, {self.path.parent.parent}",
            remedy="put data.directory on a file system that all machines of the fleet have, "
            "under the same path, and may write to (NFS, Amazon EFS or FSx); or set "
            f"engine.type to local; then: {again()}",
        )

    def remove(self) -> None:
        """Nobody asks any more."""
        with storage_errors(self.path):
            self.path.unlink(missing_ok=True)


def _word() -> str:
    return secrets.token_hex(16)


@lru_cache(maxsize=1)
def _reached(witness: Witness) -> Asking:
    """Who asks for a run's files, and has found out that they are there."""
    assert witness.first_machine is not None
    ask = Asking(witness.first_machine)
    known = len(witness.word)
    found = ask(range_of, (witness.path, 0, known), {})
    if found != witness.word.encode():
        raise witness._not_seen()
    return ask
