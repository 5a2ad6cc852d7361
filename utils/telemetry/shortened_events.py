"""What stays of the lines of data/events.jsonl when it has grown too long.

Nothing that is counted is lost: of what a step has told again and again (throttled, tried again,
found), one line with the sum takes the place of many; of how far it was, some lines are left that
are as many seconds apart as it takes. If that is not enough, the oldest commands go, those of
earlier runs first; how the last command and its steps began and ended stays whatever happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

Line = dict[str, Any]

_SUMMED = {
    "throttled": ("by", "reason"),
    "retried": ("reason",),
    "found": ("rule", "severity"),
    "fleet-at-work": (),
}
_LAST_ONLY = {
    "checkpoint-saved": (),
    "table-state": ("table", "index"),
    "followed": (),
    "fleet-gone": (),
}
_SUMS = ("times", "seconds", "ended", "lost")
_FRAME = frozenset({"run-begun", "run-finished", "step-begun", "step-finished"})
_PROGRESSED = "progressed"
_FEW = 60  # lines of progress of one step


def shortened(lines: Iterable[bytes], most: int) -> list[bytes]:
    """Of lines (without line breaks), those that take `most` bytes at the most, where that goes;
    what cannot be read goes first."""
    commands = [_together(each) for each in _commands(_read(lines))]
    if _size(result := _as_lines(commands)) <= most:
        return result
    commands = [_thinned(each, 1) for each in commands]
    while len(commands) > 1 and _size(_as_lines(commands)) > most:
        del commands[_least_wanted(commands)]
    if _size(_as_lines(commands)) > most:
        commands = [_frame(commands[-1])]
    return _as_lines(commands)


def _read(lines: Iterable[bytes]) -> list[Line]:
    read: list[Line] = []
    for line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict) and "event" in value:
            read.append(value)
    return read


def _commands(lines: Iterable[Line]) -> list[list[Line]]:
    """The lines of each command, the oldest first."""
    commands: list[list[Line]] = []
    for line in lines:
        if line["event"] == "run-begun" or not commands:
            commands.append([])
        commands[-1].append(line)
    return commands


def _together(command: Sequence[Line]) -> list[Line]:
    """The same with one line for what was told of the same thing, where it was told last."""
    last: dict[tuple[Any, ...], int] = {}
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for place, line in enumerate(command):
        if (key := _key(line)) is not None:
            last[key] = place
            sums.setdefault(key, Counter()).update(
                {name: line[name] for name in _SUMS if isinstance(line.get(name), (int, float))}
            )
    kept: list[Line] = []
    for place, line in enumerate(command):
        key = _key(line)
        if key is None:
            kept.append(line)
        elif last[key] == place:
            kept.append({**line, **sums[key]})
    return _thinned(kept, _FEW)


def _key(line: Line) -> tuple[Any, ...] | None:
    """What a line says something of that others say, too; None for one that stands for itself."""
    kind = line["event"]
    names = {**_SUMMED, **_LAST_ONLY}.get(kind)
    if names is None:
        return None
    step = ("phase", "entity", "step")
    return (kind, *(str(line.get(name, "")) for name in (*step, *names)))


def _thinned(command: Sequence[Line], most: int) -> list[Line]:
    """The same with about `most` lines of progress of each step, the last one among them."""
    of_step: dict[tuple[Any, ...], list[int]] = {}
    for place, line in enumerate(command):
        if line["event"] == _PROGRESSED:
            step = (line.get("phase"), line.get("entity"), line.get("step"))
            of_step.setdefault(step, []).append(place)
    kept = set()
    for places in of_step.values():
        every = -(-len(places) // most)
        kept.update(places[::-1][::every])
    return [
        line for place, line in enumerate(command) if line["event"] != _PROGRESSED or place in kept
    ]


def _least_wanted(commands: Sequence[Sequence[Line]]) -> int:
    """The oldest command of another run than the last one; if there is none, the oldest."""
    run = commands[-1][0].get("run")
    others = (place for place, command in enumerate(commands[:-1]) if command[0].get("run") != run)
    return next(others, 0)


def _frame(command: Sequence[Line]) -> list[Line]:
    """How a command and each of its steps began and ended; of a step that was at work again and
    again, the last time."""
    last = {
        (line["event"], line.get("phase"), line.get("entity"), line.get("step")): place
        for place, line in enumerate(command)
        if line["event"] in _FRAME
    }
    return [command[place] for place in sorted(last.values())]


def _as_lines(commands: Iterable[Iterable[Line]]) -> list[bytes]:
    return [orjson.dumps(line) for command in commands for line in command]


def _size(lines: Iterable[bytes]) -> int:
    return sum(len(line) + 1 for line in lines)
