"""Who owns the data: S9 until the switch, the Sale Module from then on (data/cutover.json).

Whatever writes into the target what S9 has, or had, asks here before it begins. The file is that of
the cut-over (utils/cutover/state.py); a data directory without one belongs to S9.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.storage import storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.wording.invocation import command

S9, SALE_MODULE = "S9", "the Sale Module"
CUTOVER = "cutover"


# The steps of a cut-over, each of which is done only when those before it are.
_STEPS = ("in-step", "frozen", "caught-up", "verified", "accepted", "certified", "switched")
_KINDS = {
    "revision": int,
    "cutover": str,
    "began": str,
    "source": dict,
    "target": dict,
    "steps": dict,
    "history": list,
}
# What later steps need of those that are done.
_RESTS_ON: dict[str, dict[str, type]] = {
    "caught-up": {"runId": str, "snapshot": str},
    "verified": {"files": dict, "snapshot": str, "open": dict, "reports": dict},
    "accepted": {"count": int},
    "certified": {"reports": dict},
}
# What rests on what the target holds.
_OF_TARGET = frozenset({"verified", "accepted", "certified", "switched"})


@dataclass(frozen=True)
class Ownership:
    """Who owns the data, since when ("": since ever), and the step that the cut-over has done last
    ("": none is under way)."""

    owner: str = S9
    since: str = ""
    step: str = ""

    @property
    def is_switched(self) -> bool:
        """Whether the switch has been made."""
        return self.owner == SALE_MODULE

    def as_json(self) -> dict[str, str | None]:
        """The shape of it in `status --json`."""
        return {"owner": self.owner, "since": self.since or None, "step": self.step or None}


def read_cutover(files: Workspace) -> dict[str, Any] | None:
    """The document of a cut-over, None where there is none. Raises ArtifactError when it is
    damaged, StorageError when it cannot be read."""
    path = files.cutover
    with storage_errors(path):
        if not path.exists():
            return None
        text = path.read_bytes()
    try:
        document: Any = orjson.loads(text)
        _require_sound(document)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is damaged: it does not say any more whether S9 or the Sale Module owns the "
            "data",
            remedy="put it back from a copy of the data directory or from an archive of "
            f"`evidence`; or delete it if the switch was not made, and begin anew: "
            f"{command(CUTOVER)}",
        ) from error
    found: dict[str, Any] = document
    return found


def _require_sound(document: Any) -> None:
    """Raise ValueError, KeyError or TypeError for what the tool has not written."""
    kinds = {name: type(document[name]) for name in _KINDS}
    is_known = document["version"] == 1 and document["owner"] in (S9, SALE_MODULE)
    if not is_known or kinds != _KINDS or not isinstance(document["switchedAt"] or "", str):
        raise ValueError
    is_switched = document["owner"] == SALE_MODULE
    steps = tuple(document["steps"])
    if steps != _STEPS[: len(steps)] or is_switched != (_STEPS[-1] in steps):
        raise ValueError
    if is_switched != bool(document["switchedAt"]):
        raise ValueError
    for step, entry in document["steps"].items():
        str(entry["at"]), float(entry["seconds"])
        rests_on = _RESTS_ON.get(step, {})
        if {name: type(entry["evidence"][name]) for name in rests_on} != rests_on:
            raise ValueError
    if "verified" in steps:
        str(document["steps"]["verified"]["evidence"]["open"]["sha256"])
    if not isinstance(document.get("listed", {}), dict):
        raise ValueError
    for entry in document["history"]:
        entry["at"], entry["what"], entry["after"]


def ownership_of(files: Workspace) -> Ownership:
    """Who owns the data of a data directory. Raises as `read_cutover` does."""
    document = read_cutover(files)
    if document is None:
        return Ownership()
    steps = list(document["steps"])
    since = document.get("switchedAt") or ""
    return Ownership(document["owner"], since, steps[-1] if steps else "")


def forget_verified(files: Workspace) -> None:
    """Something is about to be written to the target: what a cut-over of this data directory has
    verified there is not what it holds any more. Durable when this returns; whoever calls it has
    the lock of the directory. Raises ArtifactError and StorageError."""
    document = read_cutover(files)
    if document is None or document["owner"] != S9:
        return
    left = {name: entry for name, entry in document["steps"].items() if name not in _OF_TARGET}
    if left == document["steps"]:
        return
    files.set_aside("cutover")  # no certificate stands that nothing bears out
    document |= {"steps": left, "revision": document["revision"] + 1}
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    write_atomically(files.cutover, text + b"\n")


def require_marking(files: Workspace, cutover: str) -> None:
    """Raise ConfigurationError unless this cut-over is still about to switch: somebody else may
    have given it up meanwhile. Whoever calls it has the lock of the directory."""
    document = read_cutover(files) or {}
    if document.get("cutover") != cutover or not document.get("marked"):
        raise ConfigurationError(
            "another command has gone on with the cut-over meanwhile: the switch was not made",
            remedy=f"see how it stands: {command('cutover --status')}",
        )


def require_s9_owns(files: Workspace, what: str, *, further: Collection[str] = ()) -> None:
    """Raise ConfigurationError when the Sale Module owns the data: `what` would write S9's over
    them. `further` are other ways than that back, each with its command."""
    found = ownership_of(files)
    if not found.is_switched:
        return
    ways = [
        f"see what differs: {command('drift')}",
        *further,
        f"or give the data back to S9 first, which says what that loses: "
        f"{command('cutover --back')}",
    ]
    raise ConfigurationError(
        f"S9 is history since {found.since}: the Sale Module owns the data, and {what} would write "
        "what S9 had over it",
        remedy="; ".join(ways),
    )
