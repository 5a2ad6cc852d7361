"""Checks an archive of evidence again, months later and on another machine if need be.

What it finds says whether these are the files that were packed. Whoever can replace the archive can
pack another one, with other checksums: that this is the one, only a checksum says that was kept
where he cannot change it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.error_handler import ArtifactError, ExitCode
from utils.evidence.archive import FileEntry
from utils.evidence.archive_reader import MANIFEST, ArchiveReader, Contents, NotEvidence
from utils.evidence.contents import facts_of
from utils.files.artifacts import sha256_of
from utils.files.elsewhere import size_of
from utils.files.encryption import Identity, decrypt_file, needs_identity
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.telemetry.tasks import Tasks

_AGE = b"age-encryption.org/v1\n"
_BLOCK = 1 << 20


@dataclass
class Verdict:
    """What was found of an archive with this SHA-256: what is in it, what is wrong, and how many
    of the files that it only names are here as they were (`same`), or not any more (`gone`);
    `compared` is whether the data directory is of that run at all."""

    sha256: str
    contents: Contents
    compared: bool = False
    same: int = 0
    gone: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.VERIFICATION_FAILED if self.problems else ExitCode.DONE


def check(
    path: Path,
    identities: tuple[Identity, ...],
    *,
    here: Workspace | None = None,
    noted: str | None = None,
    progress: Tasks | None = None,
) -> Verdict:
    """Check an archive, by itself and against the data directory `here`, if it is of the same run;
    `noted` is the SHA-256 that somebody kept. Nothing is written.

    Raises NotEvidence, ConfigurationError when it is encrypted and there is no key, StorageError.
    """
    progress = progress or Tasks()
    with progress.task("evidence", "", None, unit="bytes", step="checking the archive"):
        sha256, contents = _read(path, identities)
    verdict = Verdict(sha256, contents)
    if noted and noted.strip().lower() != sha256:
        verdict.problems.append("it is not the file whose SHA-256 was noted")
    verdict.problems += contents.problems
    if contents.document and not contents.problems:
        verdict.problems += _disagreements(contents)
        if here is not None:
            _compare(verdict, here, progress)
    return verdict


def _read(path: Path, identities: tuple[Identity, ...]) -> tuple[str, Contents]:
    """The SHA-256 of the file, and what is in it."""
    with storage_errors(path):
        if not path.is_file():
            raise NotEvidence(f"{path} is not a file", remedy="name an archive of evidence")
        sha256, size = sha256_of(path), path.stat().st_size
        with path.open("rb") as handle:
            is_encrypted = handle.read(len(_AGE)) == _AGE
    reader = ArchiveReader(size)
    if not is_encrypted:
        with storage_errors(path), path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                reader.write(block)
        return sha256, reader.close()
    if not identities:
        raise needs_identity(str(path))
    try:
        decrypt_file(path, reader, identities)
    except ArtifactError as error:
        if "none of the identities" in error.message:
            raise NotEvidence(error.message, remedy=error.remedy) from error
        return sha256, Contents(problems=[error.message])
    return sha256, reader.close()


def _disagreements(contents: Contents) -> list[str]:
    """What the archive's manifest says otherwise than EVIDENCE.json."""
    document, manifest = contents.document, contents.manifest
    if not manifest:
        return [f"{MANIFEST} is not in it, or too large"]
    try:
        facts = facts_of(manifest)
        known = {**_artifacts(manifest), **manifest["sealed"]}
    except (KeyError, TypeError, AttributeError):
        return [f"{MANIFEST} is none"]
    found = [
        f"EVIDENCE.json says something else of `{name}` than {MANIFEST}"
        for name, fact in facts.items()
        if document[name] != fact
    ]
    for each in document["notPacked"]:
        expected = known.get(each["name"])
        if expected is not None and expected != each["sha256"]:
            found.append(
                f"{each['name']} was not what {MANIFEST} says when the evidence was packed"
            )
    return found


def _artifacts(manifest: dict[str, Any]) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in manifest["artifacts"].items()}


def _compare(verdict: Verdict, here: Workspace, progress: Tasks) -> None:
    """Compare the files that are only named with those of a data directory."""
    run = verdict.contents.document["run"]["runId"]
    if not here.manifest.is_file():
        return
    manifest = Manifest.load(here.manifest)
    if manifest is None or manifest.run_id != run:
        return
    verdict.compared = True
    named = [
        FileEntry(each["name"], each["size"], each["sha256"])
        for each in verdict.contents.document["notPacked"]
    ]
    total = sum(entry.size for entry in named)
    with progress.task("evidence", "", total, unit="bytes", step="comparing files") as task:
        for entry in named:
            path = here.root / entry.name
            if not _is_below(path, here.root) or not path.is_file():
                verdict.gone += 1
            elif size_of(path) == entry.size and sha256_of(path) == entry.sha256:
                verdict.same += 1
            else:
                verdict.problems.append(f"{path} is not what it was when the evidence was packed")
            task.advance(entry.size)


def _is_below(path: Path, root: Path) -> bool:
    """Whether a path leads to a file below a directory, by no link."""
    way = [path, *path.parents]
    if root not in way or ".." in path.parts:
        return False
    return not any(each.is_symlink() for each in way[: way.index(root)])
