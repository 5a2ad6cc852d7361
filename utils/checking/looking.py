"""Looking at several sides at once: each in a thread of its own, none waited for without an end.

A side goes on where something of it fails, and a side that does not answer hides nothing of the
others.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from utils.checking.check import Check, State, told_apart
from utils.error_handler import BackOff, MigrationError, of_the_machine
from utils.wording.figures import counted
from utils.wording.invocation import again

_LOOK_EVERY = 0.02
_ANNOUNCED = 1.0  # seconds for whoever has a time-out of the same length and says more


class Looking:
    """What is found of one side, as it comes. Safe to read while it is at work.

    Each step is announced (`at`), and may take `patience` seconds, or those that it is given;
    then the side is given up, with what is known of it.
    """

    def __init__(self, side: str, patience: float) -> None:
        self.side = side
        self._usual = patience
        self._lock = threading.Lock()
        self._checks: list[Check] = []
        self._given_up = False
        self._end: Callable[[], None] = lambda: None
        self.at("beginning")

    @property
    def checks(self) -> list[Check]:
        """What has been found so far."""
        with self._lock:
            return told_apart(self._checks)

    @property
    def now(self) -> str:
        """What is looked at just now."""
        return self._name

    def at(self, name: str, patience: float | None = None) -> None:
        """What is looked at from now on, and for how many seconds at the most."""
        self._name, self._patience = name, patience or self._usual
        self._since = time.monotonic()

    def ends_by(self, end: Callable[[], None]) -> None:
        """`end` makes the work end that is given up."""
        self._end = end

    def ok(self, name: str, found: str, **figures: int) -> None:
        self._add(Check(self.side, name, State.OK, found, figures=figures))

    def warn(self, name: str, found: str, remedy: str) -> None:
        self._add(Check(self.side, name, State.WARNING, found, remedy))

    def fail(self, name: str, found: str, remedy: str) -> None:
        self._add(Check(self.side, name, State.FAILED, found, remedy))

    def skip(self, name: str, why: str, remedy: str = "") -> None:
        self._add(Check(self.side, name, State.SKIPPED, why, remedy))

    @contextmanager
    def step(self, name: str, patience: float | None = None) -> Iterator[None]:
        """A step that fails as its error says, and does not end the others. What would pass by
        itself (BackOff: a connection is lost) ends the side."""
        self.at(name, patience)
        try:
            yield
        except MigrationError as error:
            self.failed(name, error)

    def failed(self, name: str, error: MigrationError | BackOff) -> None:
        """Something failed with this error, which has the words for it."""
        if isinstance(error, MigrationError):
            self.fail(name, error.message, error.remedy)
        else:
            self.fail(name, str(error), f"wait until that has passed, then: {again()}")

    def _add(self, check: Check) -> None:
        with self._lock:
            if not self._given_up:
                self._checks.append(check)
            self._since = time.monotonic()

    @property
    def _late(self) -> bool:
        return time.monotonic() > self._since + self._patience + _ANNOUNCED

    def give_up_if_late(self) -> bool:
        """Whether nothing has come for too long: then that is what is found, and nothing after."""
        if not self._late:
            return False
        self.fail(
            self._name,
            f"no answer within {counted(round(self._patience), 'second')}; what comes after it was "
            "not looked at",
            "find out what keeps it (a lock on the table, a firewall, a machine that is busy); a "
            f"slow network needs a longer source.connectionTimeout; then: {again()}",
        )
        with self._lock:
            self._given_up = True
        self._end()
        return True

    def defect(self, error: Exception) -> None:
        """What nobody has foreseen is told for what it is, and hides nothing that was found."""
        if known := of_the_machine(error):
            self.failed(self._name, known)
            return
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.fail(
            self._name,
            f"an unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}",
            "this is a defect of the tool: please report this line",
        )


Work = Callable[[Looking], None]


def look(side: str, work: Work, patience: float) -> list[Check]:
    """What one side's work finds, in this thread."""
    looking = Looking(side, patience)
    _work(looking, work)
    return looking.checks


def look_at_once(sides: Mapping[str, Work], patience: float) -> list[Check]:
    """What the work of every side finds, all at the same time, in the order of the sides.
    `patience` are the seconds for which one step of a side is waited for."""
    lookings = {side: Looking(side, patience) for side in sides}
    at_work = {}
    for side, work in sides.items():
        thread = threading.Thread(target=_work, args=(lookings[side], work), daemon=True)
        thread.start()
        at_work[side] = thread
    while at_work:
        for side, thread in list(at_work.items()):
            thread.join(_LOOK_EVERY)
            if not thread.is_alive() or lookings[side].give_up_if_late():
                del at_work[side]
    return [check for looking in lookings.values() for check in looking.checks]


def _work(looking: Looking, work: Work) -> None:
    try:
        work(looking)
    except (MigrationError, BackOff) as error:
        looking.failed(looking.now, error)
    except Exception as error:
        looking.defect(error)
