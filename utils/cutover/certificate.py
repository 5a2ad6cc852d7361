"""data/reports/cutover_report.json: the certificate of a cut-over, made of what its steps rest on.

Everything in it comes from data/cutover.json, but for the last look at S9 before it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from utils.cutover.state import ACCEPTED, CAUGHT_UP, FROZEN, STEPS, VERIFIED, State
from utils.files.artifacts import utc_now
from utils.files.storage import write_atomically
from utils.version import this_tool

NAME = "cutover"
_HOLDS = "the target holds what S9 holds"
_ALL_OPEN: Mapping[str, str] = {}
_ACCEPTED = f"{_HOLDS}, but for what was accepted by name"


def write_certificate(state: State, quiet_until: str, seconds: float) -> Path:
    """Write it; returns its path. S9 was quiet until `quiet_until`; to see that has taken so many
    seconds of its standstill."""
    accepted = state.evidence(ACCEPTED)
    document = {
        **head_of(state.evidence(CAUGHT_UP).get("runId")),
        "rehearsal": False,
        "cutover": state.cutover,
        "verdict": _ACCEPTED if accepted["count"] else _HOLDS,
        "standstillSeconds": round(standstill(state.steps) + seconds, 3),
        "quietUntil": quiet_until,
        "acceptance": dict(accepted),
        **body(state.evidence(VERIFIED)),
        "source": state.source,
        "target": state.target,
        "steps": steps_of(state.steps),
    }
    path = state.files.report(NAME)
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def head_of(run_id: object) -> dict[str, Any]:
    """What opens it."""
    return {"runId": run_id, "at": utc_now(), "tool": this_tool()}


def body(verified: Mapping[str, Any]) -> dict[str, Any]:
    """What the verification has found."""
    return {
        "snapshot": verified.get("snapshot"),
        "comparedAt": verified.get("comparedAt"),
        "reached": verified.get("reached", {}),
        "entities": verified.get("ledger", {}),
        "totals": verified.get("totals", []),
        "nextNumbers": verified.get("nextNumbers", {}),
    }


def standstill(steps: Mapping[str, Mapping[str, Any]]) -> float:
    """How long the steps took that S9 has to be stopped for, in seconds; people's time is not in
    it."""
    after = STEPS[STEPS.index(FROZEN) :]
    return round(sum(float(each["seconds"]) for name, each in steps.items() if name in after), 3)


def steps_of(
    steps: Mapping[str, Mapping[str, Any]], gates: Mapping[str, str] = _ALL_OPEN
) -> list[dict[str, Any]]:
    """The steps in their order, each with its gate: why it is shut, "open" when it is not."""
    return [
        {
            "step": name,
            "at": each["at"],
            "seconds": each["seconds"],
            "gate": gates.get(name) or "open",
            "evidence": each["evidence"],
        }
        for name, each in steps.items()
    ]
