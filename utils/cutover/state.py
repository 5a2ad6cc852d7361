"""data/cutover.json: how far the cut-over has come, and what each step rests on.

{"version", "revision", "cutover", "began", "owner", "switchedAt", "source", "target", "steps":
{step: {"at", "seconds", "evidence"}}, "history": [{"at", "what", …}], "listed", "marked"}. A step
is in `steps` only when its gate was open and its evidence is durable; so whoever is killed goes on
with the next one. What was given up or taken back is in `history`.

The file is written under the lock of the data directory, and only by who has read what is there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.error_handler import ConfigurationError
from utils.files.artifacts import utc_now
from utils.files.storage import write_atomically
from utils.files.workspace import Workspace
from utils.ownership import S9, SALE_MODULE, read_cutover
from utils.run.lock import run_lock
from utils.wording.invocation import again

IN_STEP, FROZEN, CAUGHT_UP = "in-step", "frozen", "caught-up"
VERIFIED, ACCEPTED, CERTIFIED, SWITCHED = "verified", "accepted", "certified", "switched"
STEPS = (IN_STEP, FROZEN, CAUGHT_UP, VERIFIED, ACCEPTED, CERTIFIED, SWITCHED)

Evidence = Mapping[str, Any]


@dataclass
class State:
    """The cut-over of a data directory. `source` and `target` are what the configuration names,
    `steps` has the evidence of those that are done, in their order. `listed` is S9 (the SHA-256 of
    its files) as it was when its changes since the certificate were listed last. `marked`: the
    tables may say by now that it has switched."""

    files: Workspace
    source: dict[str, Any]
    target: dict[str, Any]
    cutover: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    began: str = field(default_factory=utc_now)
    owner: str = S9
    switched_at: str = ""
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    revision: int = 0
    listed: dict[str, str] = field(default_factory=dict)
    marked: bool = False

    @classmethod
    def load(cls, files: Workspace, source: Evidence, target: Evidence) -> State:
        """That of a data directory, or a new one. Raises ArtifactError when the file is damaged,
        ConfigurationError when it is of another source or target."""
        document = read_cutover(files)
        if document is None:
            return cls(files, dict(source), dict(target))
        for side, wanted in (("source", source), ("target", target)):
            if document.get(side) != wanted:
                raise ConfigurationError(
                    f"{files.cutover} is the cut-over of another {side}",
                    remedy="correct the configuration, or name that of this migration with "
                    "--config FILE",
                )
        return cls(
            files,
            document["source"],
            document["target"],
            document["cutover"],
            document["began"],
            document["owner"],
            document["switchedAt"] or "",
            document["steps"],
            document["history"],
            document["revision"],
            document.get("listed", {}),
            document.get("marked", False),
        )

    @property
    def is_switched(self) -> bool:
        return self.owner == SALE_MODULE

    def evidence(self, step: str) -> dict[str, Any]:
        """What a step that is done rests on; nothing for one that is not."""
        found: dict[str, Any] = self.steps.get(step, {}).get("evidence", {})
        return found

    def done(self, step: str, evidence: Evidence, seconds: float = 0.0) -> None:
        """A step is done, durably."""
        entry = {"at": utc_now(), "seconds": round(seconds, 3), "evidence": dict(evidence)}
        self.steps[step] = entry
        self.save()

    def forget(self, step: str) -> None:
        """This step and those after it are to be done (again)."""
        late = STEPS[STEPS.index(step) :]
        left = {name: entry for name, entry in self.steps.items() if name not in late}
        if left != self.steps:
            self._set_certificate_aside(left)
            self.steps, self.listed = left, {}
            self.save()

    def _set_certificate_aside(self, left: Evidence) -> None:
        """No certificate stands that what lies before it does not bear out."""
        if CERTIFIED not in left:  # who was killed may have written it before the step was done
            self.files.set_aside("cutover")

    def has_listed(self, files: Mapping[str, str]) -> None:
        """What S9, with these files, has changed since the certificate was listed: durably."""
        self.listed = dict(files)
        self.save()

    def is_about_to_mark(self) -> None:
        """The tables may say from now on that it has switched: durably."""
        if not self.marked:
            self.marked = True
            self.save()

    def belongs_to_sale_module(self, at: str) -> None:
        """The switch is made (call `done` to make that durable)."""
        self.owner, self.switched_at = SALE_MODULE, at

    def starts_over(self, what: str, **more: Any) -> None:
        """The cut-over is given up, or taken back: S9 owns the data, and no step is done."""
        last = next(reversed(self.steps), "")
        entry = {"at": utc_now(), "what": what, "cutover": self.cutover, "after": last, **more}
        self.history.append(entry)
        self._set_certificate_aside({})
        self.owner, self.switched_at, self.steps, self.listed = S9, "", {}, {}
        self.marked = False
        self.cutover, self.began = uuid.uuid4().hex[:8], utc_now()
        self.save()

    def save(self) -> None:
        """Write the file. Raises ConfigurationError when another command has written it since it
        was read, or is at work."""
        with run_lock(self.files.lock):
            there = read_cutover(self.files)
            if (there["revision"] if there else 0) != self.revision:
                raise ConfigurationError(
                    "another command has gone on with the cut-over meanwhile",
                    remedy=f"see how it stands, then go on: {again()}",
                )
            self.revision += 1
            text = orjson.dumps(self._as_json(), option=orjson.OPT_INDENT_2)
            write_atomically(self.files.cutover, text + b"\n")

    def _as_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "revision": self.revision,
            "cutover": self.cutover,
            "began": self.began,
            "owner": self.owner,
            "switchedAt": self.switched_at or None,
            "source": self.source,
            "target": self.target,
            "steps": self.steps,
            "history": self.history,
            "listed": self.listed,
            "marked": self.marked,
        }
