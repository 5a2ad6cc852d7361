"""The one stream of events: whatever a person or another program sees of a run comes from here.

Who works emits an event; the screen, data/events.jsonl, `status`, the reports and CloudWatch
listen. Nobody who shows a figure counts for himself.

An event holds counts and names, no value of S9 or of an item: entities, phases, tables, indexes,
rules, S9's keys, words for reasons.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime, timezone
from functools import cache
from typing import Any, get_type_hints

from utils.config import json_name
from utils.settings.typed_json import fits
from utils.wording.figures import moment_text


@dataclass(frozen=True)
class Step:
    """What is being worked at: a part of a phase (or of a secondary command, `backup` for example)
    in an entity or a table.

    `name` is "" for what the phase is about; what else takes a while in it has a name that goes
    into a sentence: "comparing", "access patterns", "waiting for tables". `entity` is "" where it
    is of all entities.
    """

    phase: str
    entity: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Count:
    """How far a step is, in its `unit` ("records", "items", "tables" …); `total` is None where
    nobody knows. `errors` are those of the `done` that were refused. `write_units` and `read_units`
    are what DynamoDB says it has charged, `bytes` what was read from S9, written to a file or sent.
    """

    done: int = 0
    total: int | None = None
    unit: str = "records"
    errors: int = 0
    write_units: float = 0.0
    read_units: float = 0.0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that has happened. The name of a kind in the file is that of its class:
    `StepBegun` is `step-begun`."""

    @classmethod
    def kind(cls) -> str:
        """The word by which programs know the kind."""
        return _WORDS.sub("-", cls.__name__).lower()


@dataclass(frozen=True, kw_only=True)
class RunBegun(Event):
    """A command is at work on the data directory. `command` is its name (`full`, `resume`,
    `phase`, `dry-run`, `backup` …), `phases` are those that it will go through, in their order."""

    command: str
    phases: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    pid: int = 0
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class StepBegun(Event):
    """Work at a step begins, or goes on where `count.done` says."""

    step: Step
    count: Count


@dataclass(frozen=True, kw_only=True)
class Progressed(Event):
    """So far is a step now; told a few times a second at most. `in_flight` is how many requests are
    under way at once, where there are any."""

    step: Step
    count: Count
    in_flight: int | None = None


@dataclass(frozen=True, kw_only=True)
class Throttled(Event):
    """DynamoDB has asked for patience, `times` since the last event of the kind. `by` is the table
    or the index that is short, as the answer names it, `reason` the word of the answer, `seconds`
    how long writing has waited for it, all senders together."""

    step: Step
    by: str
    reason: str
    times: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Retried(Event):
    """Something has failed in a way that passes, and was tried again `times` since the last
    event."""

    step: Step
    reason: str
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Found(Event):
    """A check has found `times` the same kind of thing; `key` is S9's key of one record that has
    it."""

    step: Step
    rule: str
    severity: str
    times: int = 1
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """Up to here a run that is killed now would not have to start over."""

    step: Step
    done: int


@dataclass(frozen=True, kw_only=True)
class TableState(Event):
    """A table of the target, or one of its `index`es, is in this state (`ACTIVE`, `CREATING` …)."""

    table: str
    state: str
    index: str = ""


@dataclass(frozen=True, kw_only=True)
class Followed(Event):
    """How S9's log is followed: `lag` is how many seconds the last changes took from S9's commit to
    the target, `oldest` for how many seconds the oldest one that is not there yet has waited,
    `retained` how many bytes of its log S9 keeps for it."""

    lag: float
    oldest: float
    retained: int


@dataclass(frozen=True, kw_only=True)
class FleetAtWork(Event):
    """How machines stand that share the work of a run (`engine.type`): told when they are there,
    and every other second when it has changed. `software` is what runs them ("Spark 4.1.4"),
    `master` who gives them; so many `machines`, `executors` on them and `cores` are there, and so
    many `tasks` at work. Since the last event of the kind, in whatever step, so many tasks have
    `ended`, and so many were `lost`: they have failed, or their machine has, and are done again."""

    step: Step
    software: str
    master: str
    machines: int
    executors: int
    cores: int
    tasks: int
    ended: int = 0
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class FleetGone(Event):
    """These machines were let go."""

    step: Step


DONE, SKIPPED, FAILED, STOPPED = "done", "skipped", "failed", "stopped"
"""The outcomes of a step."""


@dataclass(frozen=True, kw_only=True)
class StepFinished(Event):
    """A step is over: `outcome` is `done`, `skipped` (nothing was left to do), `failed` or
    `stopped`. `seconds` is what it took by the clock, in this run; `retries` counts by reason."""

    step: Step
    count: Count
    outcome: str
    seconds: float
    retries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """A command is over, with this exit code; `sentence` is what its last line says first."""

    exit_code: int
    sentence: str
    seconds: float


KINDS: tuple[type[Event], ...] = (
    RunBegun,
    StepBegun,
    Progressed,
    Throttled,
    Retried,
    Found,
    CheckpointSaved,
    TableState,
    Followed,
    FleetAtWork,
    FleetGone,
    StepFinished,
    RunFinished,
)
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")
_OF_NAME = {kind.kind(): kind for kind in KINDS}


@dataclass(frozen=True)
class Told:
    """An event as it was told: of which run ("" where there is none yet), the how-manieth of its
    data directory, and when (UTC)."""

    run: str
    number: int
    at: datetime
    event: Event

    def as_json(self) -> dict[str, Any]:
        """One line of data/events.jsonl; a step's and a count's fields stand beside the others."""
        at = moment_text(self.at)
        head = {"run": self.run, "number": self.number, "at": at, "event": self.event.kind()}
        return {**head, **_flat(self.event)}

    @classmethod
    def of_json(cls, line: Any) -> Told | None:
        """What `as_json` gave, also in another version: a field that is not known is passed over.
        None for a kind that is not known, and for what is no event."""
        try:
            kind = _OF_NAME[line["event"]]
            at = datetime.fromisoformat(line["at"].replace("Z", "+00:00"))
            told = cls(line["run"], line["number"], at, _built(kind, line))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return told if fits(told.event, kind) and fits(told.number, int) else None


Listener = Callable[[Told], None]


def _now() -> datetime:
    return datetime.now(timezone.utc)


class EventStream:
    """Passes events on to those who listen, in the order in which they are emitted.

    Safe to share between threads of this process; what other processes have to tell comes with
    what they report. A listener must not raise, nor wait for anything.
    """

    def __init__(
        self, run: str = "", *, after: int = 0, clock: Callable[[], datetime] = _now
    ) -> None:
        """`after` is the number of the last event that this run has told, when it is resumed."""
        self.run = run
        self._number = after
        self._clock = clock
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()

    def go_on_after(self, number: int) -> None:
        """The next event gets the number after this one."""
        with self._lock:
            self._number = number

    def listen(self, listener: Listener) -> None:
        """From now on `listener` gets every event."""
        with self._lock:
            self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell everyone who listens."""
        with self._lock:
            self._number += 1
            told = Told(self.run, self._number, self._clock(), event)
            for listener in self._listeners:
                listener(told)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _built(kind: Any, line: Mapping[str, Any]) -> Any:
    """An event, or a part of one, from what `_flat` gave. Raises KeyError for what is missing."""
    values: dict[str, Any] = {}
    for each in fields(kind):
        hint, name = _hints(kind)[each.name], _name_in_a_line(kind, each.name)
        if hint in (Step, Count):
            values[each.name] = _built(hint, line)
        elif name in line:
            values[each.name] = _typed(line[name], hint)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise KeyError(name)
    return kind(**values)


def _typed(value: Any, hint: Any) -> Any:
    """A value of JSON as the field has it, which knows tuples, and more than one kind of number."""
    if isinstance(value, list):
        return tuple(value)
    return float(value) if hint is float and type(value) is int else value


def _name_in_a_line(kind: type[Any], name: str) -> str:
    """A step's name is `step` there, beside the fields of the event."""
    return "step" if kind is Step and name == "name" else json_name(name)


def _flat(event: Any) -> dict[str, Any]:
    """The fields under their JSON names; of parts that are dataclasses theirs."""
    result: dict[str, Any] = {}
    for each in fields(event):
        value = getattr(event, each.name)
        if is_dataclass(value):
            result |= _flat(value)
        else:
            name = _name_in_a_line(type(event), each.name)
            result[name] = list(value) if isinstance(value, tuple) else value
    return result
