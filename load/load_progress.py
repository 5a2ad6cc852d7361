"""How far the load of one entity has come: what is acknowledged, and what DynamoDB refuses."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from load.refusals import PHASE, Reason, Refusals
from load.sending.file_lanes import FileLanes
from load.sending.sender import Acknowledged
from load.undoable_loads import Load
from load.writing.batch_writer import Outcome
from utils.checkpoint import Checkpoint
from utils.files.elsewhere import size_of
from utils.run.run import Run


@dataclass
class LoadProgress:
    """What is acknowledged of the file is in the table; `total` is what that took, over `seconds`
    of earlier runs."""

    lanes: FileLanes
    total: Outcome
    seconds: float
    refusals: Refusals

    @classmethod
    def of(cls, source: Path, saved: Checkpoint | None, refusals: Refusals) -> LoadProgress:
        if saved is None:
            return cls(FileLanes.cut(source), Outcome(), 0.0, refusals)
        for key, reason in saved.state["refused"].items():
            refusals.reasons[key] = Reason.of_json(reason)
        return cls(
            FileLanes(source, [(start, end) for start, end in saved.state["lanes"]]),
            Outcome.of_json(saved.state["outcome"]),
            saved.state["milliseconds"] / 1000,
            refusals,
        )

    def acknowledge(self, part: Acknowledged) -> tuple[int, int]:
        """A part of a piece is in the table, but for what DynamoDB refuses; returns how many
        lines are known to be done with by that, and how many of them are refused."""
        outcome = self.lanes.acknowledge(part.number, part.place, part.size, part.outcome)
        refused, outcome.refused = outcome.refused, []
        self.total.add(outcome)
        for item in refused:
            self.refusals.add(item, written=self.total.records)
        return outcome.lines, len(refused)

    def state(self, started: float) -> dict[str, Any]:
        """The place for a checkpoint; every acknowledgement is in, so there is nothing to sync."""
        seconds = self.seconds + time.monotonic() - started
        return {
            "lanes": self.lanes.ranges,
            "outcome": self.total.as_json(),
            "milliseconds": round(seconds * 1000),
            "refused": {key: asdict(reason) for key, reason in self.refusals.reasons.items()},
        }


def unacknowledged(run: Run, load: Load) -> list[tuple[int, int]]:
    """The ranges of bytes of a loaded file of which it is not known whether they have arrived;
    none after a complete load."""
    if load.state.complete:
        return []
    source = run.workspace.transformed(load.entity)
    inputs = {run.workspace.name_of(source): load.state.transformed}
    saved = run.checkpoint.load()
    here = saved is not None and (saved.phase, saved.entity) == (PHASE, load.entity)
    if here and saved is not None and saved.inputs == inputs:
        return LoadProgress.of(source, saved, Refusals({})).lanes.ranges
    return [(0, size_of(load.loaded))] if load.loaded.exists() else [(0, 1 << 62)]
