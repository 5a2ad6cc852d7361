"""The one place that writes a command line: what an operator types next, with the options in use.

`command` gives the line for some options, `again` the line that resumes what is at work, or starts
it over. A remedy is written with one of the two, wherever it arises: that is why the state is the
process's own, as that of the masks is (utils/wording/masking.py); `state` and `restore` hand it to
the processes that share the work.

A rehearsal and a demonstration leave nothing that another command could resume: of them every
command says how to do them again. What is meant for afterwards is asked of `for_real`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PROGRAM = "python migrate.py"
_IDENTITY = "--identity"
RESUME = "--resume"
_DRY_RUN = "--dry-run"
RETRY_QUARANTINE = "retry-quarantine"
SYNC = "sync"
FOLLOW = "sync --follow"


@dataclass
class Invocation:
    """How the tool was called. `options` are those that every command needs, with the files that
    they name; `again` is what resumes the work, `closed` that nothing else does, `stays` that what
    it is made of is not resumed by itself."""

    options: dict[str, str] = field(default_factory=dict)
    again: str = RESUME
    closed: bool = False
    stays: bool = False


_state = Invocation()


def set_up(typed: Sequence[str], *, config: Path | None, identity: Path | None) -> None:
    """A command begins: `typed` are its words. `config` and `identity` are the files that the
    options name, None where none is named."""
    named = {"--config": config, _IDENTITY: identity}
    _state.options = {option: str(path) for option, path in named.items() if path}
    _state.again, _state.closed = shlex.join(_without(typed, _state.options)), False
    _state.stays = False


def _without(typed: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """What was typed, without the options that are written before every command."""
    rest = list(typed)
    for option, path in options.items():
        for spelled in ([option, path], [f"{option}={path}"]):
            for at in reversed(range(len(rest))):  # they may have been given twice
                if rest[at : at + len(spelled)] == spelled:
                    del rest[at : at + len(spelled)]
    return rest


def goes_on_with(options: str) -> None:
    """From now on, these are the options that resume what is at work, unless it is closed, or part
    of what stays with its own."""
    if not (_state.closed or _state.stays):
        _state.again = options


def stays_with(options: str) -> None:
    """From now on, these are the options that resume what is at work, whatever it is made of."""
    _state.again, _state.stays = options, True


def is_closed() -> None:
    """From now on, what is at work is only ever started over: a rehearsal, a demonstration."""
    _state.closed = True


def again(further: str = "") -> str:
    """The command line that resumes what is at work, or starts it over; with one option more,
    unless it was given already."""
    missing = further and further not in shlex.split(_state.again)
    return for_real(f"{_state.again} {further}" if missing else _state.again)


def in_earnest() -> str:
    """The command line that was typed to see what it would do, as it is typed to do it."""
    return for_real(shlex.join(word for word in shlex.split(_state.again) if word != _DRY_RUN))


def again_with_key() -> str:
    """As `again`, with a place for the file that has the secret key."""
    return _line({**_state.options, _IDENTITY: "FILE"}, _state.again)


def command(options: str) -> str:
    """The command line for `options`; in a rehearsal or a demonstration the one that starts it
    over."""
    return for_real(_state.again if _state.closed else options)


def for_real(options: str) -> str:
    """The command line for `options`, also while a rehearsal or a demonstration is at work."""
    return _line(_state.options, options)


def _line(files: Mapping[str, str], options: str) -> str:
    words = [word for option in files.items() for word in option]
    return " ".join([_PROGRAM, *map(shlex.quote, words), options])


def state() -> Invocation:
    """What `restore` needs in another process."""
    return _state


def restore(other: Invocation) -> None:
    """Speak of commands as the process that gave `other` does."""
    _state.options, _state.again = other.options, other.again
    _state.closed, _state.stays = other.closed, other.stays
