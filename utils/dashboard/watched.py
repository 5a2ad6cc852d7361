"""The data directories that are watched: how each stands, as `status` has it, and the way there.

The files are read once, whoever looks: the events go to the picture of `status`, to a history and
to what was found. What is kept does not grow with the length of a run. Nothing is locked or
written.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from utils.error_handler import MigrationError
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.run.clean import nested
from utils.status.status import NONE, RUNNING, Status, Watcher
from utils.telemetry.events import Found, RunBegun, Step, StepBegun, Told
from utils.telemetry.history import Advance, History, Wait

_MOST = 2_000  # advances or waits of a history, before two of them become one
_MOST_SPANS = 500
_LATEST = 40  # of what was found
_LOOK_AGAIN = 5.0  # seconds, whatever the files say

LATEST = ""
"""The choice of who wants to see what is at work, or was at work last."""
_NAMES = {"dry-run": "Rehearsal", "from-source": "S9 read again", "demo": "Demonstration"}
_OF_THE_RUN = "data"


@dataclass(frozen=True)
class Seen:
    """How a data directory stands at a moment (`now`, seconds since 1970): `status` is None where
    that cannot be read, for `trouble`."""

    name: str
    title: str
    watched: Watched
    now: float
    status: Status | None
    trouble: MigrationError | None = None

    @property
    def files(self) -> Workspace:
        return self.watched.files

    @property
    def is_running(self) -> bool:
        return self.status is not None and self.status.state == RUNNING

    @property
    def is_something(self) -> bool:
        """Whether anything was ever at work there, as far as one can see."""
        return self.status is None or self.status.state != NONE


@dataclass
class Discoveries:
    """What a run has found: how often, by step, rule and severity, and the latest events, the last
    one first."""

    counts: Counter[tuple[Step, str, str]] = field(default_factory=Counter)
    latest: deque[Told] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def take(self, told: Told) -> None:
        """Take note of an event. A step that begins anew finds the same things again."""
        event = told.event
        if isinstance(event, StepBegun) and not event.count.done:
            for known in [each for each in self.counts if each[0] == event.step]:
                del self.counts[known]
            rest = [each for each in self.latest if not _is_of(each, event.step)]
            self.latest = deque(rest, maxlen=_LATEST)
        elif isinstance(event, Found):
            self.counts[event.step, event.rule, event.severity] += event.times
            self.latest.appendleft(told)

    def by_rule(self) -> Counter[tuple[str, str, str, str]]:
        """How often what was found, by phase, entity, rule and severity."""
        sums: Counter[tuple[str, str, str, str]] = Counter()
        for (step, rule, severity), times in self.counts.items():
            sums[step.phase, step.entity, rule, severity] += times
        return sums


def _is_of(told: Told, step: Step) -> bool:
    return isinstance(told.event, Found) and told.event.step == step


class Watched:
    """One data directory."""

    def __init__(self, files: Workspace) -> None:
        self.files = files
        self._forget()
        self._signs: Sequence[object] = ()
        self._looked = 0.0
        self._last: tuple[Status | None, MigrationError | None] = (None, None)

    def look(self, now: float) -> tuple[Status | None, MigrationError | None]:
        """How it stands, or why nobody can say."""
        signs = self._signs_of()
        status = self._last[0]
        is_at_rest = status is not None and status.state != RUNNING and signs == self._signs
        if is_at_rest and 0 <= now - self._looked < _LOOK_AGAIN:
            return self._last
        if signs[0] is None and self.watcher.picture.command:
            self._forget()  # `clean` has deleted them: the run is no more
        try:
            self._last = self.watcher.look(now), None
        except MigrationError as error:
            self._last = None, error
        self._signs, self._looked = signs, now
        return self._last

    @property
    def sign_of_manifest(self) -> object:
        """What tells whether the manifest has been written since."""
        return self._signs[1]

    def _forget(self) -> None:
        self.watcher = Watcher(self.files, also=self._hear)
        self.history = History("")
        self.discoveries = Discoveries()

    def _hear(self, told: Told) -> None:
        begins = isinstance(told.event, RunBegun)
        if told.run != self.history.run and (begins or not self.history.run):
            self.history, self.discoveries = History(told.run), Discoveries()
        if told.run == self.history.run:
            self.history.take(told)
            self.discoveries.take(told)
            _shorten(self.history)

    def _signs_of(self) -> list[object]:
        """What tells whether anything has been written; the first is that of the events."""
        files = self.files
        return [
            _sign_of(path)
            for path in (files.events, files.manifest, files.lock, files.cutover, files.following)
        ]


def _sign_of(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _shorten(history: History) -> None:
    """Keep a history from growing: of what is long ago, two become one."""
    if len(history.advances) > _MOST:
        history.advances[:] = _paired_advances(history.advances)
    if len(history.waits) > _MOST:
        history.waits[:] = _paired_waits(history.waits)
    if len(history.spans) > _MOST_SPANS:
        del history.spans[: -_MOST_SPANS // 2]
    if len(history.commands) > _MOST_SPANS:
        del history.commands[: -_MOST_SPANS // 2]


def _paired_advances(them: Iterable[Advance]) -> list[Advance]:
    paired: list[Advance] = []
    is_open = False
    for each in them:
        last = paired[-1] if is_open else None
        if last is not None and (last.phase, last.unit, last.ended) == (
            each.phase, each.unit, each.began,
        ):  # fmt: skip
            paired[-1] = Advance(
                last.phase, last.unit, last.began, each.ended, last.done + each.done
            )
            is_open = False
        else:
            paired.append(each)
            is_open = True
    return paired


def _paired_waits(them: Iterable[Wait]) -> list[Wait]:
    paired: list[Wait] = []
    is_open = False
    for each in them:
        last = paired[-1] if is_open else None
        if last is not None and (last.by, last.reason) == (each.by, each.reason):
            times, seconds = last.times + each.times, last.seconds + each.seconds
            paired[-1] = Wait(each.at, each.by, each.reason, times, seconds)
            is_open = False
        else:
            paired.append(each)
            is_open = True
    return paired


class Directories:
    """A data directory and those inside it, which come and go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._watched: dict[Path, Watched] = {}

    def look(self, now: float) -> dict[str, Seen]:
        """How each of them stands, by the name under which it can be chosen."""
        return {
            name: Seen(name, title, watched, now, *watched.look(now))
            for name, title, watched in self._there()
        }

    def _there(self) -> list[tuple[str, str, Watched]]:
        files = Workspace(self.root)
        inner: Iterable[Workspace] = ()
        try:
            with storage_errors(self.root):
                inner = nested(files).values() if self.root.is_dir() else ()
        except MigrationError:
            inner = ()
        found = [(_OF_THE_RUN, "Migration", files)]
        found += [
            (each.root.name, _NAMES.get(each.root.name, each.root.name), each) for each in inner
        ]
        known = {each.root: self._watched.get(each.root) or Watched(each) for _, _, each in found}
        self._watched = known
        return [(name, title, known[each.root]) for name, title, each in found]


def chosen(seen: dict[str, Seen], choice: str) -> Seen | None:
    """The one that is chosen, None where there is no such; LATEST is what `status` would show."""
    if choice != LATEST:
        return seen.get(choice)
    return max(
        seen.values(), key=lambda each: (each.is_running, each.is_something, _last_news(each))
    )


def _last_news(seen: Seen) -> float:
    with suppress(OSError):  # deleted at this moment
        return seen.watched.watcher.last_news
    return 0.0
