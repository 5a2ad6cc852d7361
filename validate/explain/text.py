"""What `explain` shows: a line for each station, the attributes side by side, the verdict last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from utils.entities import shape_of
from utils.findings.findings_text import example
from utils.findings.shown_records import Shown
from utils.wording.figures import counted
from utils.wording.terminal import printable
from validate.explain.explained import (
    AttributeDifference,
    Explained,
    Place,
    State,
    Station,
)

_TITLES = {
    Place.SOURCE: "S9 now",
    Place.EXTRACTED: "extracted",
    Place.TRANSFORMED: "transformed",
    Place.QUARANTINE: "quarantine",
    Place.LOAD: "loaded",
    Place.TARGET: "the table",
}
_TITLE_WIDTH = max(map(len, _TITLES.values()))
_SIGNS = {State.FINE: "✓", State.DIFFERS: "✗", State.ABSENT: "·", State.UNKNOWN: "?"}
_COLOURS = {State.FINE: "\x1b[32m", State.DIFFERS: "\x1b[31m", State.UNKNOWN: "\x1b[33m"}
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_RED = _COLOURS[State.DIFFERS]
_SIDES = ("S9 now", "the file", "the table")
_NARROWEST, _WIDEST = 60, 120
_NAME_WIDTH = 20
_FINDINGS = 3
_OF_LINES = ("lineNumber", "quantity", "unitPrice", "netAmount", "taxAmount", "totalAmount")
_NOTHING = "–"
_HEAD = "METADATA"


@dataclass(frozen=True)
class Looks:
    """What the screen has: its width, colours, and signs besides words."""

    columns: int
    color: bool
    signs: bool

    @property
    def width(self) -> int:
        return min(max(self.columns, _NARROWEST), _WIDEST)

    def painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self.color and colour and text.strip() else text


def text_of(explained: Explained, looks: Looks, *, verbose: bool) -> str:
    """All but the verdict, printable as it is; with `verbose` all values of each station."""
    lines = [looks.painted(_headline(explained), _BOLD), ""]
    for station in explained.stations:
        lines += _station(station, looks)
    lines += _findings(explained, looks)
    lines += _attributes(explained, looks)
    lines += _children(explained)
    if verbose:
        lines += _values(explained.stations, looks)
    return "\n".join(lines)


def _headline(explained: Explained) -> str:
    one = shape_of(explained.entity).singular.capitalize()
    key = "" if explained.key is None else f" {explained.key}"
    number = f", number {explained.number}" if explained.number else ""
    return printable(f"{one}{key}{number}, {explained.partition_key}")


def _station(station: Station, looks: Looks) -> Iterator[str]:
    sign = f"{_SIGNS[station.state]} " if looks.signs else f"{station.state.value:<8} "
    title = f"{sign}{_TITLES[station.place]:<{_TITLE_WIDTH}}"
    room = looks.width - len(title) - 4
    texts = [station.words] + ([f"Type: {station.next}"] if station.next else [])
    first = True
    for text in texts:
        for part in _wrapped(text, room):
            colour = _COLOURS.get(station.state, "")
            head = looks.painted(title, colour) if first else " " * len(title)
            yield f"  {head}  {part}"
            first = False


def _wrapped(text: str, room: int) -> list[str]:
    """A text in lines of so many columns; what is longer than a line stays whole, to be copied."""
    return [
        part
        for line in printable(text).split("\n")
        for part in textwrap.wrap(
            line.strip(), room, break_long_words=False, break_on_hyphens=False
        )
    ]


def _findings(explained: Explained, looks: Looks) -> Iterator[str]:
    found = explained.findings
    if not found:
        return
    yield ""
    yield f"  What was found ({counted(len(found), 'finding')}):"
    for finding in found[:_FINDINGS]:
        said = f"{finding.severity} {finding.rule}: {example(finding)}"
        for number, part in enumerate(_wrapped(said, looks.width - 6)):
            yield f"    {part}" if not number else f"      {part}"
    if len(found) > _FINDINGS:
        yield f"    … and {len(found) - _FINDINGS} more, in --json"


def _attributes(explained: Explained, looks: Looks) -> Iterator[str]:
    """What is the same everywhere in a few lines; what differs side by side, marked, and red where
    there are colours."""
    sides = [number for number, known in enumerate(explained.sides) if known]
    if not sides:
        return
    same = [each for each in explained.attributes if not each.differs]
    if same:
        yield ""
        text = ", ".join(_said(each) for each in same)
        for part in _wrapped(text, looks.width - 4):
            yield f"    {part}"
    differing = [each for each in explained.attributes if each.differs]
    if not differing:
        return
    room = (looks.width - 4 - _NAME_WIDTH) // len(sides) - 2
    yield ""
    header = "".join(f"  {_SIDES[number]:<{room}}" for number in sides)
    yield f"    {'':<{_NAME_WIDTH}}{header}".rstrip()
    item = _HEAD
    for each in differing:
        if each.sort_key != item:
            item = each.sort_key
            yield f"    {printable(item)}"
        yield _row(each, sides, room, looks)
    if (hidden := explained.differing - len(differing)) > 0:
        more = counted(hidden, "more attribute differs", "more attributes differ")
        yield f"    … and {more}"


def _said(each: AttributeDifference) -> str:
    value = next((text for text in (each.source, each.file, each.target) if text is not None), "")
    return printable(f"{each.attribute} {value.replace(chr(10), ' ') or _NOTHING}")


def _row(each: AttributeDifference, sides: Sequence[int], room: int, looks: Looks) -> str:
    values = (each.source, each.file, each.target)
    cells = [_cut(values[number] or _NOTHING, room) for number in sides]
    mark = "≠" if looks.signs else "!"
    name = f"{mark if each.differs else ' '} {_cut(each.attribute, _NAME_WIDTH):<{_NAME_WIDTH}}"
    text = "".join(f"  {cell:<{room}}" for cell in cells).rstrip()
    return f"  {looks.painted(name + text, _RED if each.differs else '')}"


def _cut(text: str, room: int) -> str:
    text = printable(text.replace("\n", " "))
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _children(explained: Explained) -> Iterator[str]:
    """The first of the lines, from the table, or else the file."""
    shape = shape_of(explained.entity)
    by_place = {each.place: each for each in explained.stations}
    stations = [by_place[Place.TARGET], by_place[Place.TRANSFORMED]]
    station = next((each for each in stations if each.first_lines), None)
    if shape.children is None or station is None:
        return
    shown = len(station.first_lines)
    of_all = f"the first {shown} of {station.lines:,}" if shown != station.lines else ""
    where = _TITLES[station.place] if station.place is Place.TARGET else "the file"
    yield ""
    said = counted(station.lines or 0, shape.children.singular, shape.children.name)
    yield f"  {said} in {where}" + (f", {of_all}:" if of_all else ":")
    yield "    " + "".join(f"{name:>12}" for name in _OF_LINES)
    for line in station.first_lines:
        yield "    " + "".join(f"{_cut(line.get(name, _NOTHING), 11):>12}" for name in _OF_LINES)


def _values(stations: Sequence[Station], looks: Looks) -> Iterator[str]:
    for station in stations:
        if not station.values:
            continue
        yield ""
        yield f"  All of {_TITLES[station.place]}:"
        yield from _listed(station.values, looks)
        for number, line in enumerate(station.first_lines, start=1):
            yield f"    line {number}:"
            yield from _listed(line, looks, "    ")


def _listed(values: Shown, looks: Looks, indent: str = "") -> Iterator[str]:
    for name, value in values.items():
        text = f"{_cut(name, 28):<28}  {value.replace(chr(10), ' ')}"
        yield f"    {indent}{_cut(text, looks.width - 4 - len(indent))}"
