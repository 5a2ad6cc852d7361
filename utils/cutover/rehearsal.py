"""A walk through the cut-over without a freeze: what each gate would say now, and how long the
standstill would be. Nothing is written to the target, and data/cutover.json stays as it is.

S9 is at work meanwhile. So what it has changed since the last sync is expected, and told; what is
wrong in the target, and what somebody would have to accept, is the same as on the day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from utils.cutover import gates
from utils.cutover.acceptance import by_kind, write_open
from utils.cutover.certificate import body, head_of, standstill, steps_of
from utils.cutover.endings import Asked, Ending
from utils.cutover.state import (
    ACCEPTED,
    CAUGHT_UP,
    CERTIFIED,
    FROZEN,
    IN_STEP,
    VERIFIED,
    State,
)
from utils.cutover.ways import Ways
from utils.error_handler import ConfigurationError, ExitCode
from utils.files.artifacts import utc_now
from utils.files.storage import make_directory, write_atomically
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.wording.figures import counted, lasting
from utils.wording.invocation import for_real


class Rehearsal:
    """One walk. `say` shows a line."""

    def __init__(self, state: State, ways: Ways, asked: Asked, say: Callable[[str], None]) -> None:
        self.state, self.ways, self.asked, self.say = state, ways, asked, say
        self._steps: dict[str, dict[str, Any]] = {}
        self._gates: dict[str, str] = {}

    def walk(self) -> Ending:
        """Walk it. Raises MigrationError for what fails."""
        if self.state.is_switched:
            raise ConfigurationError(
                f"the switch was made at {self.state.switched_at}: there is nothing to rehearse",
                remedy=f"see what differs from S9: {for_real('drift')}",
            )
        files = Workspace(self.state.files.dry_run)
        foreseen = self._step(IN_STEP, self.ways.foresee, lambda done: done.as_json())
        self._gate(IN_STEP, gates.of_sync(foreseen, self.asked.most_changes))
        writers = self._step(FROZEN, self.ways.writers, lambda found: found.as_json())
        self._gate(FROZEN, gates.of_writers(writers))
        # The last pass takes as long as this one has taken.
        self._steps[CAUGHT_UP] = {**self._steps[IN_STEP], "evidence": foreseen.as_json()}
        found = self._step(VERIFIED, self.ways.compare, lambda each: each.as_json())
        # That S9 changes is expected here, and told in the end.
        self._gate(VERIFIED, gates.of_verification(replace(found, moved=())))
        make_directory(files.reports)
        write_open(files, found.head, "", found.open)
        kinds = by_kind(found.open)
        self._steps[ACCEPTED] = _entry(0.0, {"count": len(found.open)})
        self._gate(ACCEPTED, f"to be accepted: {kinds}" if kinds else "")
        look = self._step(CERTIFIED, self.ways.look, lambda each: {"quietUntil": each.snapshot})
        return self._ending(self._certificate(files, look.snapshot), found.figures, len(found.open))

    def _step(self, name: str, do: Callable[[], Any], evidence: Callable[[Any], Any]) -> Any:
        began = time.monotonic()
        found = do()
        self._steps[name] = _entry(time.monotonic() - began, evidence(found))
        return found

    def _gate(self, name: str, why: str) -> None:
        self._gates[name] = why
        took = lasting(self._steps[name]["seconds"])
        self.say(f"Rehearsed, {name} ({took}): {f'shut: {why}' if why else 'open'}")

    def _certificate(self, files: Workspace, looked: str) -> Path:
        manifest = Manifest.load(self.state.files.manifest)
        shut = [name for name, why in self._gates.items() if why]
        document = {
            **head_of(manifest.run_id if manifest else ""),
            "rehearsal": True,
            "cutover": None,
            "verdict": f"shut: {', '.join(shut)}" if shut else "every gate was open",
            "standstillSeconds": standstill(self._steps),
            "quietUntil": looked,
            "acceptance": None,
            **body(self._steps[VERIFIED]["evidence"]),
            "source": self.state.source,
            "target": self.state.target,
            "steps": steps_of(self._steps, self._gates),
        }
        path = files.report("cutover")
        write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
        return path

    def _ending(self, path: Path, figures: Any, open_: int) -> Ending:
        damaged = figures["missing"] or figures["different"] or figures["otherProblems"]
        shut = [name for name, why in self._gates.items() if why]
        code = ExitCode.QUARANTINED if open_ else ExitCode.DONE
        values = {
            "gates": f"shut: {', '.join(shut)}" if shut else "all open",
            "seconds": lasting(standstill(self._steps)),
            "changed": counted(figures["changedInSource"], "item"),
            "report": path,
            "next": for_real("cutover"),
        }
        code = ExitCode.VERIFICATION_FAILED if damaged else code
        return Ending("cutover-rehearsed", code, values)


def _entry(seconds: float, evidence: Any) -> dict[str, Any]:
    return {"at": utc_now(), "seconds": round(seconds, 3), "evidence": evidence}
