"""What runs on a machine of the fleet: the parts of a task, one after the other.

An error of the tool's own is a result, because a second attempt would end in it as well; what is
neither that nor passes by itself is raised, and the engine tries the task again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from utils.error_handler import BackOff, MigrationError, traceback_of
from utils.fleet.machines.code_archive import forget_importers, require_code
from utils.fleet.machines.witness import Witness
from utils.processes.actors import Packed, packed, unpacked
from utils.version import whole_code
from utils.wording import invocation, masking

DONE, FAILED, AGAIN = "done", "failed", "again"


@dataclass(frozen=True)
class Outcome:
    """What became of the part at a `place`: what was made of it, or an error."""

    place: int
    state: str
    value: Any = None
    error: Packed | None = None

    def raised(self) -> Exception | None:
        """Why the part is to be tried again; None when it is done. Raises what a second attempt
        would end in as well."""
        if self.error is None:
            return None
        error = unpacked(self.error)
        if self.state != AGAIN:
            raise error
        return error


@dataclass(frozen=True)
class Task:
    """A function for parts, with what a process has to know to word and mask as the first one
    does, where it finds the run's files, and the digest of the code that it is to run. Called with
    the parts of a task, each with its place. Tasks that have the same function share it in a
    process that does one after the other: what it has worked out for itself (patterns, validators)
    it knows then."""

    function: bytes
    witness: Witness
    masks: masking.MaskState
    called: invocation.Invocation
    code: str

    @classmethod
    def of(cls, function: Callable[[Any], Any], witness: Witness) -> Task:
        known = masking.state(), invocation.state(), whole_code()
        return cls(pickle.dumps(function), witness, *known)

    def __call__(self, parts: Iterable[tuple[int, Any]]) -> Iterator[Outcome]:
        masking.restore(self.masks)
        invocation.restore(self.called)
        function = _known(self.function)
        for place, part in parts:
            yield self._done(function, place, part)
        forget_importers()

    def _done(self, function: Callable[[Any], Any], place: int, part: Any) -> Outcome:
        try:
            require_code(self.code)
            self.witness.find_files()
            return Outcome(place, DONE, function(part))
        except BackOff as error:
            return Outcome(place, AGAIN, error=packed(error))
        except MigrationError as error:
            return Outcome(place, FAILED, error=packed(error))
        except Exception as error:  # whose text may hold a record, and goes into others' logs
            raise TaskFailed(traceback_of(error)) from None


@lru_cache(maxsize=4)
def _known(function: bytes) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = pickle.loads(function)
    return found


class TaskFailed(Exception):
    """Something has gone wrong in a task, told without secrets and personal data."""
