"""Artifacts at rest: encrypted at the end of a run, opened when a later command needs them.

With `data.recipient`, a run that has come to its end turns every file of records (extracted,
transformed, quarantine, and what a load has replaced) into FILE.age, an age file of its own, and
`manifest.sealed` has the SHA-256 of each. Reports stay readable: what is personal in them is
masked. A run that has stopped is not at its end; its files stay as they are for the run that
resumes.

Killed anywhere, a file is there in one of its two forms at least: the encrypted one is read back,
then the manifest says so, and only then the readable one goes; and the other way round.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError, ExitCode, StorageError
from utils.files.artifacts import ArtifactEntry, sha256_of
from utils.files.encryption import (
    SUFFIX,
    Identity,
    Recipient,
    decrypt_file,
    encrypt_file,
    identities,
    needs_identity,
    new_identity,
    recipients,
)
from utils.files.parts import remove, remove_all
from utils.files.storage import PARTIAL_SUFFIX, partial_of, publish, storage_errors
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again, command

_ENDS = (
    ExitCode.DONE,
    ExitCode.QUARANTINED,
    ExitCode.VALIDATION_FAILED,
    ExitCode.VERIFICATION_FAILED,
)


def seal(run: Run) -> None:
    """Encrypt the files of a run that has come to its end, if the settings ask for it.

    Raises StorageError when a file cannot be written or is not read back as it was; what was
    readable is still there then.
    """
    if run.manifest.outcome not in _ENDS:
        return
    keys = recipients(run.config.data.recipient, "data.recipient")
    if keys:
        _forget_last_pass(run)
        _seal_all(run, keys)
    _remove_leftovers(run)


def _seal_all(run: Run, keys: tuple[Recipient, ...]) -> None:
    witness, public = new_identity()  # reads back what was written, and is gone with the process
    sealed = dict(run.manifest.sealed)
    readable = [name for name in run.manifest.artifacts if (run.workspace.root / name).exists()]
    twins: dict[str, Path] = {}  # a loaded file is the transformed one under another name
    with run.progress.task("encrypt", "", len(readable), unit="files", step="encrypting") as task:
        for name in readable:
            path, entry = run.workspace.root / name, run.manifest.artifacts[name]
            twin = twins.setdefault(entry.sha256, path)
            if twin != path and _is_linked(sealed_name(twin), sealed_name(path)):
                sealed[name] = sealed[twin.relative_to(run.workspace.root).as_posix()]
            else:
                sealed[name] = _seal_file(path, entry, (*keys, public), witness)
            task.advance(bytes=entry.bytes)
    if readable:
        run.manifest.sealed = sealed
        run.save()
        for name in readable:
            with storage_errors(run.workspace.root / name):
                remove(run.workspace.root / name)
        get_logger().info(
            "Encrypted %s of records; a command that needs them again needs --identity",
            counted(len(readable), "file"),
        )


def _forget_last_pass(run: Run) -> None:
    """Remove what phases have kept for the next one (utils/earlier/kept.py): it is as readable as
    what is encrypted, and nothing needs it. The accounts go first: then nobody believes the rest.
    """
    directory = run.workspace.last_pass
    with storage_errors(directory):
        kept = [path for name in ENTITY_NAMES for path in directory.glob(f"{name}.*")]
        remove_all(sorted(kept, key=lambda path: path.suffix != ".json"))


def _is_linked(path: Path, to: Path) -> bool:
    """Give a file another name; False where the file system knows no such thing."""
    try:
        to.unlink(missing_ok=True)
        os.link(path, to)
    except OSError:
        return False
    return True


def _seal_file(
    path: Path, entry: ArtifactEntry, keys: tuple[Recipient, ...], witness: Identity
) -> str:
    """Encrypt a file beside itself; returns the SHA-256 of the encrypted one."""
    sealed = sealed_name(path)
    partial = partial_of(sealed)
    encrypt_file(path, partial, keys)
    check = _Digest()
    decrypt_file(partial, check, (witness,))
    if check.hexdigest() != entry.sha256:
        raise StorageError(
            f"{path} cannot be read back after its encryption",
            remedy=f"it is kept as it is; check the disk, then: {again()}",
        )
    _sync(partial)
    publish(sealed)
    return sha256_of(sealed)


def unseal(run: Run) -> None:
    """Open the files that an earlier run has encrypted at its end.

    Raises ConfigurationError when there is no identity to open them with, ArtifactError when it
    does not open them or they are not what was encrypted.
    """
    if not run.manifest.sealed:
        return
    root, setting = run.workspace.root, run.config.data.identity
    if setting is None:
        raise needs_identity(f"what is in {root}")
    keys = identities(Path(setting))
    count = len(run.manifest.sealed)
    with run.progress.task("encrypt", "", count, unit="files", step="decrypting") as task:
        for name, digest in run.manifest.sealed.items():
            path, entry = root / name, run.manifest.artifacts[name]
            if not (path.exists() and sha256_of(path) == entry.sha256):
                _unseal_file(path, entry, digest, keys)
            task.advance(bytes=entry.bytes)
    run.manifest.sealed = {}
    run.save()
    _remove_leftovers(run)
    get_logger().info("Opened the encrypted files of records in %s", root)


def _unseal_file(path: Path, entry: ArtifactEntry, digest: str, keys: tuple[Identity, ...]) -> None:
    sealed = sealed_name(path)
    if not sealed.exists() or sha256_of(sealed) != digest:
        raise ArtifactError(
            f"{sealed} is missing, or was cut or edited after it was written",
            remedy=f"put the file back, or start over: {command('--full')}",
        )
    partial = partial_of(path)
    decrypt_file(sealed, partial, keys)
    if sha256_of(partial) != entry.sha256:
        raise ArtifactError(
            f"{sealed} does not hold what the manifest says",
            remedy=f"start over: {command('--full')}",
        )
    _sync(partial)
    publish(path)


def sealed_name(path: Path) -> Path:
    """Where the encrypted form of a file is."""
    return path.with_name(path.name + SUFFIX)


def _remove_leftovers(run: Run) -> None:
    """Remove the encrypted form of files that there are in another, or no longer."""
    for name in ("extracted", "transformed", "quarantine", "undo"):
        for path in (run.workspace.root / name).rglob(f"*{SUFFIX}*"):
            readable = path.relative_to(run.workspace.root).as_posix().partition(SUFFIX)[0]
            if readable not in run.manifest.sealed or path.name.endswith(PARTIAL_SUFFIX):
                with storage_errors(path):
                    path.unlink()


def _sync(path: Path) -> None:
    with storage_errors(path), path.open("rb") as handle:
        os.fsync(handle.fileno())


class _Digest:
    """Somewhere to decrypt into that keeps nothing but the SHA-256."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._sha.update(data)
        return len(data)

    def flush(self) -> None:
        return

    def hexdigest(self) -> str:
        return self._sha.hexdigest()
