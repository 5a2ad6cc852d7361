"""Where the files of a data directory are kept in S3: what a command does about it.

Without S3 nothing of it is imported. With it, whoever works on the data directory holds the lock
of the place, has its files, and sends what changes (`at_work_in`); whoever only looks has what
there is to look at (`bring`). Either holds the lock of the working copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from utils.config import Config
from utils.interrupt import StopFlag
from utils.working_copy.place import place_of
from utils.working_copy.record import require_no_working_copy

if TYPE_CHECKING:
    from utils.working_copy.keeping import Keeping

_at_work: dict[Path, Keeping] = {}
_ended: list[Keeping] = []


@contextmanager
def at_work_in(config: Config, root: Path, stop: StopFlag | None = None) -> Iterator[None]:
    """Have the files of the data directory `root` kept in S3, if that is where the configuration
    says they are: all of them are in `root` before anything else happens, and in S3 when it is
    over. The lock of `root` is held by the caller. Whoever is at work already, in this process,
    goes on with it.

    Raises ConfigurationError for a directory that is another's working copy, MigrationError when
    another machine is at work, and StorageError and ArtifactError as utils/working_copy/push.py and
    pull.py say.
    """
    place = place_of(config)
    if place is None:
        require_no_working_copy(root)
        yield
        return
    if known := _at_work.get(root):
        yield
        known.send()
        return
    from utils.working_copy.keeping import Keeping

    kept = Keeping(config, place, root, stop)
    with kept:
        _at_work[root] = kept
        try:
            yield
        finally:
            del _at_work[root]
    _ended.append(kept)


def bring(config: Config, *, everything: bool = False) -> None:
    """Get what there is to look at, or `everything`, unless a command of this machine is at work.
    Raises as `at_work_in` does."""
    place = place_of(config)
    if place is None:
        return
    from utils.working_copy.keeping import bring_to_look

    bring_to_look(config, place, Path(config.data.directory), everything=everything)


def send_pages(say: Callable[[str], object]) -> None:
    """Send what was written after the commands of this process have ended: the pages for people.
    What cannot be sent is said."""
    while _ended:
        _ended.pop().send_afterwards(say)
