"""What a page consists of: sections of parts, each of which a template knows how to show.

A cell, a value or a text that is a plain `str` is taken for one that comes from outside and shown
as such (utils/pages/rendering.py); words of the tool's own may be `Markup`. Numbers get their
commas, None a dash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup

GOOD, CARE, BAD, BUSY, CALM = "good", "care", "bad", "busy", "calm"
"""How something stands: as it should be; to think about; in the way; under way; nothing to say."""

NUMBER, WIDE, KEY = "number", "wide", "key"
SUM, LESS, OFF = "sum", "less", "off"

Cell = object
"""`str` (from outside), `Markup`, a number, None."""


@dataclass(frozen=True)
class Text:
    """A paragraph; `dim` for what is said beside the matter."""

    shape: ClassVar[str] = "text"
    text: Cell
    dim: bool = False


@dataclass(frozen=True)
class State:
    """A state with its word."""

    shape: ClassVar[str] = "state"
    kind: str
    words: Cell


@dataclass(frozen=True)
class Column:
    """A column; its `kind` is NUMBER, WIDE, KEY or ""."""

    name: str
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """A row, whose first cell is its head; its `kind` is SUM, LESS (what is taken off), OFF (not
    as it should be) or ""."""

    cells: Sequence[Cell]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table; without rows there is none."""

    shape: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Pairs:
    """Names and what they are."""

    shape: ClassVar[str] = "pairs"
    them: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Chart:
    """A picture (SVG) that `caption` explains; `legend` has (kind, words) of its colours."""

    shape: ClassVar[str] = "chart"
    caption: str
    svg: Markup
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Heading:
    """The heading of what follows within a section."""

    shape: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Folded:
    """Parts that are folded away on a screen, and open on paper."""

    shape: ClassVar[str] = "folded"
    summary: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Listed:
    """A list of texts; `of` is how many there are where not all are shown."""

    shape: ClassVar[str] = "listed"
    items: Sequence[Cell]
    of: int | None = None


Part = Text | State | Table | Pairs | Chart | Heading | Folded | Listed


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading of its own, found under `name` in its address."""

    name: str
    title: str
    parts: Sequence[Part]
    note: str = ""
    """What the section answers, below its heading."""


@dataclass(frozen=True)
class Verdict:
    """What there is to say on top: how it stands, in a word and in a sentence, and what to type
    next."""

    kind: str
    state: str
    words: Cell
    further: Sequence[Cell] = ()
    next: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure at a glance, with what stands beside it."""

    name: str
    value: Cell
    beside: str = ""


@dataclass(frozen=True)
class Page:
    """A whole page: its `title`, what it is `of` (run, moment), and its sections."""

    title: str
    of: Sequence[Cell]
    verdict: Verdict
    figures: Sequence[Figure]
    sections: Sequence[Section]
    made: str
    """When it was made (UTC, ISO 8601)."""
    foot: Sequence[Cell] = field(default=())
