"""Whether a machine of the fleet sees the files of the run: a file with a word that nobody can know
who does not."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils.error_handler import StorageError
from utils.files.storage import make_directory, storage_errors, write_atomically
from utils.wording.invocation import again


@dataclass(frozen=True)
class Witness:
    """The file at `path` has the `word` in it, wherever the data directory is the run's own; the
    run was started in the directory `home`, from which its configuration's paths go out."""

    path: Path
    word: str
    home: Path

    @classmethod
    def left_in(cls, scratch: Path) -> Witness:
        """Leave a file with a new word in a directory. Raises StorageError."""
        witness = cls(scratch.resolve() / f"fleet-{secrets.token_hex(6)}", _word(), Path.cwd())
        make_directory(witness.path.parent)
        write_atomically(witness.path, witness.word.encode())
        return witness

    def require(self) -> None:
        """Be in the same directory as the run, if there is one here. Raises StorageError where its
        files are not to be seen."""
        with suppress(OSError):
            os.chdir(self.home)
        why = "what is there is another directory"
        try:
            found = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            found = ""
        except OSError as error:
            found, why = "", str(error.strerror)
        if found != self.word:
            directory = self.path.parent.parent
            raise StorageError(
                f"{socket.gethostname()}, a machine of the fleet, does not see the files of "
                f"data.directory, {directory}: {why}",
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
