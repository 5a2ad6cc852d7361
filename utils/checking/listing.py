"""Checks for people: a list by side, with a word beside every sign, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from utils.checking.check import MACHINE, SOURCE, TARGET, Check, State
from utils.wording.terminal import indented, printable

_TITLES = {SOURCE: "S9", TARGET: "The target", MACHINE: "This machine"}
_SIGNS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.SKIPPED: "·"}
_WORDS = {
    State.OK: "ok",
    State.WARNING: "warning",
    State.FAILED: "failed",
    State.SKIPPED: "not looked at",
}
_COLOURS = {State.OK: "\x1b[32m", State.WARNING: "\x1b[33m", State.FAILED: "\x1b[31m"}
_PLAIN = "\x1b[0m"
_WIDTH = max(map(len, _WORDS.values()))


def lines(checks: Sequence[Check], *, color: bool, signs: bool, quiet: bool = False) -> list[str]:
    """The list, printable as it is. `signs` go before the words where the screen has them; with
    `quiet` only what is not as it should be is listed."""
    found: list[str] = []
    for side, title in _TITLES.items():
        own = [each for each in checks if each.side == side]
        if quiet:
            own = [each for each in own if each.state in (State.FAILED, State.WARNING)]
        if own:
            found += ["", title, *_of_side(own, color=color, signs=signs)]
    return found[1:]


def _of_side(checks: Iterable[Check], *, color: bool, signs: bool) -> Iterable[str]:
    for each in checks:
        word = _WORDS[each.state]
        mark = f"{_SIGNS[each.state]} {word:{_WIDTH}}" if signs else f"{word:{_WIDTH}}"
        if color and each.state in _COLOURS:
            mark = f"{_COLOURS[each.state]}{mark}{_PLAIN}"
        yield f"  {mark}  {_text(each.name)}: {_text(each.found)}"
        if each.remedy and each.state is not State.OK:
            yield f"  {'':{_WIDTH + 2 * signs}}  What to do: {_text(each.remedy)}"


def _text(text: str) -> str:
    return printable(indented(text))
