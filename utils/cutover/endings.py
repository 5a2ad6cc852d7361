"""What the operator asks of the cut-over, and how it ends: what is to be done now, or which gate is
shut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.cutover.acceptance import Accepted
from utils.cutover.state import State
from utils.error_handler import ExitCode
from utils.wording.invocation import command


@dataclass(frozen=True)
class Asked:
    """What the operator says: S9's application is stopped; or that the tool is to see for itself
    that nothing changes in so many seconds; at most so many changes in the last pass before; what
    is accepted; that the application is switched; that what S9 has changed since the certificate,
    as it was listed, is left behind."""

    is_stopped: bool = False
    freeze_check: float | None = None
    most_changes: int | None = None
    accepted: Accepted | None = None
    is_switched: bool = False
    leaves_behind: bool = False


@dataclass(frozen=True)
class Ending:
    """How it has ended: the closing (utils/cli/closings.py), the exit code, and its values."""

    name: str
    code: ExitCode
    values: Mapping[str, Any] = field(default_factory=dict)


class Shut(Exception):
    """A gate is shut: at which step, why, the one command that goes on, and the exit code."""

    def __init__(self, step: str, why: str, go_on: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(why)
        self.step, self.why, self.go_on, self.code = step, why, go_on, code


class Waits(Exception):
    """Somebody must do something now, of which an ending tells."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.name)
        self.ending = ending


def ended(state: State) -> Ending:
    """How a cut-over stands that waits for nothing but the next word."""
    if state.is_switched:
        values: dict[str, Any] = {
            "moment": state.switched_at,
            "drift": command("drift"),
            "back": command("cutover --back"),
        }
        return Ending("cutover-switched", ExitCode.DONE, values)
    values = {
        "report": state.files.report("cutover"),
        "next": command("cutover --switched"),
        "abort": command("cutover --abort"),
    }
    return Ending("cutover-certified", ExitCode.DONE, values)
