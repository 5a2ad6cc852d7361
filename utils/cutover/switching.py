"""The last step of the cut-over: the application is switched, and the Sale Module owns the data.

What S9 has changed since it was verified is in no table. All of it is listed before it can be left
behind, and left behind is what was listed: while S9 goes on changing, the list is made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from utils.cutover import gates
from utils.cutover.endings import Asked, Shut, Waits, ended
from utils.cutover.state import SWITCHED, VERIFIED, State
from utils.cutover.ways import Compared, Look, Ways
from utils.error_handler import ExitCode, MigrationError
from utils.files.artifacts import sha256_of, utc_now
from utils.files.storage import partial_of, publish, storage_errors
from utils.wording.figures import counted
from utils.wording.invocation import command

LEFT_BEHIND = "left_behind"
_LEAVE = "cutover --switched --leave-behind"


class Switching:
    """The step of one cut-over. `say` shows a line."""

    def __init__(self, state: State, ways: Ways, asked: Asked, say: Callable[[str], None]) -> None:
        self._state, self._ways, self._asked, self._say = state, ways, asked, say

    def do(self) -> tuple[str, dict[str, Any]]:
        """Switch; returns what was found in words, and the evidence. Raises Waits until the
        operator says that it is done, Shut when S9 was not quiet, and MigrationError."""
        if not self._asked.is_switched:
            raise Waits(ended(self._state))
        verified = self._state.evidence(VERIFIED)
        look = self._ways.look()
        moved = gates.of_looks(verified["files"], look, verified["snapshot"])
        evidence: dict[str, Any] = {"quietUntil": None if moved else look.snapshot}
        evidence |= self._leave_behind(look, moved) if moved else {"leftBehind": 0, "reports": {}}
        moment = utc_now()
        self._state.is_about_to_mark()
        self._ways.mark(self._state.cutover, moment)
        self._state.belongs_to_sale_module(moment)
        self._unfollow()
        return "the Sale Module owns the data", evidence

    def _leave_behind(self, look: Look, moved: str) -> dict[str, Any]:
        """What is left behind, as evidence. Raises Shut unless all of it was listed before, and it
        is said that it is left."""
        was_listed = self._state.listed == dict(look.files)
        found = self._ways.compare()
        if dict(found.look.files) != dict(look.files):
            was_listed = False
        if not (self._asked.leaves_behind and was_listed):
            self._list(found, moved)
        path = self._state.files.report(LEFT_BEHIND)
        with storage_errors(path):
            shutil.copyfile(self._state.files.report("drift"), partial_of(path))
            partial_of(path).chmod(0o600)
            publish(path)
            reports = {self._state.files.name_of(path): sha256_of(path)}
        return {"leftBehind": found.drift["moved"], "reports": reports}

    def _list(self, found: Compared, moved: str) -> None:
        """List it, and keep the gate shut."""
        self._state.has_listed(found.look.files)
        for each in found.moved:
            self._say(f"Changed in S9 since the certificate, and not in the target: {each}")
        count, report = int(found.drift["moved"]), self._state.files.report("drift")
        if count > len(found.moved):
            self._say(f"… and {counted(count - len(found.moved), 'more record')}: see {report}")
        why = f"{moved} (nothing of it belongs into the target)"
        if count:
            why = f"{moved}: {counted(count, 'record')}, all of them listed in {report}"
        if self._asked.leaves_behind:
            why += "; not all of it had been listed before"
        go_on = (
            f"switch the application back, and give the cut-over up: {command('cutover --abort')}; "
            "or stop what still writes into S9, enter these changes in the Sale Module by hand, "
            f"then: {command(_LEAVE)}"
        )
        raise Shut(SWITCHED, why, go_on, ExitCode.VERIFICATION_FAILED)

    def _unfollow(self) -> None:
        """Nobody follows an S9 that is history: it would keep its log until its disk is full."""
        try:
            for taken in self._ways.unfollow():
                self._say(f"Taken away at S9: {taken}")
        except MigrationError as error:
            self._say(f"S9 still keeps its log to be followed: {error.message}. {error.remedy}")
