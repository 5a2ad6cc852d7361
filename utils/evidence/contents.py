"""What belongs into the evidence of a migration, and what is only named there.

Reports, differences, events, logs and the manifest are packed: they hold no personal data, unless
`logging.maskPersonalData` is false. Files of records (extracted, transformed, in quarantine, what a
rollback needs) hold whole records: of them there are sizes and checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.evidence.archive import FileEntry, blocks_of
from utils.files.artifacts import sha256_of
from utils.files.elsewhere import size_of
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.run.clean import REPORTS_KIND, SCRATCH_KIND, Wish, data_rooms, is_reached_plainly
from utils.settings.config_safety import is_by_variable, secrets_in
from utils.version import this_tool
from utils.wording.masking import HIDDEN, disguised, scrub

FORMAT = "s9-migration-evidence/1"
CONFIGURATION = "configuration.json"
_USERS = "transformation.userMapping"
_MASKED = (
    "Personal data are masked in every file that is packed. Files of records hold whole records: "
    "they are not packed, only their sizes and checksums are here."
)
_SHOWN = (
    "Personal data may be in reports and logs that are packed: logging.maskPersonalData is false. "
    + _MASKED.partition(". ")[2]
)


@dataclass(frozen=True)
class Packed:
    """A file that is packed: what it is, and where its content comes from."""

    entry: FileEntry
    blocks: Callable[[], Iterator[bytes]]


def own_rooms(files: Workspace) -> Iterator[tuple[str, Path]]:
    """Every file of a migration that evidence is about, with its kind (see utils/run/clean.py): of
    the data directory, and of S9 as it was read again to verify."""
    inner = Workspace(files.from_source)
    for place in (files, inner):
        if place is inner and (place.root.is_symlink() or not place.manifest.is_file()):
            continue
        if place.manifest.is_file():
            yield REPORTS_KIND, place.manifest
        for room in data_rooms(place, Wish()):
            if room.kind != SCRATCH_KIND and is_reached_plainly(room, files.root):
                for path in room.files():
                    if not path.name.endswith((".partial", ".tmp")):
                        yield room.kind, path


def to_pack(files: Workspace) -> list[Path]:
    """The files that are packed, in the order of their names."""
    return sorted({path for kind, path in own_rooms(files) if kind == REPORTS_KIND})


def to_name(files: Workspace) -> list[Path]:
    """The files of which there are only sizes and checksums."""
    return sorted({path for kind, path in own_rooms(files) if kind != REPORTS_KIND})


def entry_of(files: Workspace, path: Path) -> FileEntry:
    """A file as it is now. Raises StorageError."""
    with storage_errors(path):
        size, sha256 = size_of(path), sha256_of(path)
    return FileEntry(files.name_of(path), size, sha256)


def packed(files: Workspace, path: Path) -> Packed:
    """A file of the data directory, to be packed."""
    return Packed(entry_of(files, path), lambda: iter(blocks_of(path)))


def without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration (variables unresolved) without what is secret or personal in it: users of
    either side are masked as in the reports of this data directory."""
    hidden = {name for name, value in secrets_in(document) if not is_by_variable(value)}
    return {name: _shown(value, name, hidden) for name, value in document.items()}


def _shown(value: Any, path: str, hidden: Collection[str]) -> Any:
    if path in hidden:
        return HIDDEN
    if isinstance(value, Mapping) and path == _USERS:
        return {disguised(str(user)): disguised(str(name)) for user, name in value.items()}
    if isinstance(value, Mapping):
        return {name: _shown(each, f"{path}.{name}", hidden) for name, each in value.items()}
    if isinstance(value, list):
        return [_shown(each, path, hidden) for each in value]
    return scrub(value) if isinstance(value, str) else value


def document_of(
    manifest: Mapping[str, Any],
    files: list[FileEntry],
    named: list[FileEntry],
    *,
    personal_data_shown: bool,
) -> bytes:
    """EVIDENCE.json, by the manifest (parsed) and the files. No clock is in it: the same evidence
    is the same bytes."""
    document = {
        "format": FORMAT,
        "tool": this_tool(),
        **facts_of(manifest),
        "personalData": _SHOWN if personal_data_shown else _MASKED,
        "files": [_as_json(entry) for entry in files],
        "notPacked": [_as_json(entry) for entry in named],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def facts_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What EVIDENCE.json says of a run, by the run's manifest, parsed."""
    snapshot, reached = manifest["snapshot"], manifest.get("reached", {})
    return {
        "run": {
            "runId": manifest["run_id"],
            "createdAt": manifest["created_at"],
            "tool": manifest.get("tool", {}),
            "outcome": manifest["outcome"],
            "stopped": manifest["stopped"],
            "rolledBack": manifest.get("rolled_back", ""),
        },
        "snapshot": {name: snapshot.get(name) for name in ("consistent", "statement")},
        "reached": {side: reached.get(side) for side in ("source", "target")},
        "verified": {
            entity: {
                "at": entry["at"],
                "passed": entry["result"].get("passed") is True,
                "inputs": entry["inputs"],
            }
            for entity, entry in manifest["phases"].get("verify", {}).items()
        },
    }


def _as_json(entry: FileEntry) -> dict[str, Any]:
    return {"name": entry.name, "size": entry.size, "sha256": entry.sha256}
