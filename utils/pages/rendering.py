"""How a page is made: templates (utils/pages/templates) that escape whatever they are given, with
the one design (utils/pages/look/look.css) inside.

What S9, the target or a server have said goes into a page through `told` (in templates the filter
of that name): characters that are not to be seen are spelled, as on a terminal, and its direction
stays its own. A page needs no network, and without the dashboard no script.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from utils.version import VERSION
from utils.wording.figures import counted, lasting
from utils.wording.terminal import printable

_HERE = Path(__file__).parent
_LONGEST = 2_000
"""Characters of one value that a page shows; the rest is in the reports that programs read."""


def render(template: str, **values: Any) -> str:
    """The page that a template (a file name in utils/pages/templates) makes of `values`; a value
    that it uses and is not given is a defect, and raises jinja2.UndefinedError. Nowhere in it is a
    character that is not to be seen, as on a terminal: also not where nobody has thought of it."""
    return printable(environment().get_template(template).render(version=VERSION, **values))


@cache
def look(name: str = "look.css") -> str:
    """The design, as a style sheet; or another file of utils/pages/look."""
    return (_HERE / "look" / name).read_text("utf-8")


def told(value: object) -> Markup:
    """What comes from outside, as it may stand in a page: a text, or anything that has one."""
    text = printable(str(value))
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} … ({counted(len(text) - _LONGEST, 'character')} more)"
    return Markup('<bdi class="told">{}</bdi>').format(text)


def number(value: float | None) -> Markup:
    """A figure with its commas; a dash that says "none" where there is none."""
    if value is None:
        return Markup('<span class="none">–</span>')
    if isinstance(value, float) and not value.is_integer():
        return escape(f"{value:,.1f}")
    return escape(f"{int(value):,}")


def shown(value: object) -> Markup:
    """A value of a part (utils/pages/parts.py), by what it is."""
    if isinstance(value, Markup):
        return value
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return number(value)
    return told(value)


def plain(text: str) -> Markup:
    """Words of the tool's own, with names in them that may come from outside."""
    return Markup("{}").format(printable(text))


def in_state(kind: str, words: str) -> Markup:
    """A state with its word, for a cell (utils/pages/parts.py has the kinds)."""
    return Markup('<span class="state {}">{}</span>').format(kind, printable(words))


def severity_of(severity: str) -> Markup:
    """How bad a finding is."""
    return in_state("bad" if severity == "error" else "care", severity)


def when(moment: str | None) -> Markup:
    """A moment (ISO 8601, UTC) for people."""
    if not moment:
        return Markup('<span class="none">–</span>')
    plain = printable(moment)
    words = plain.replace("T", " ").partition(".")[0].removesuffix("Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(plain, words)


@cache
def environment() -> Environment:
    """The templates, with what they may use."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., object]] = {
        "shown": shown,
        "told": told,
        "number": number,
        "when": when,
        "lasting": lasting,
        "counted": counted,
    }
    made.filters.update(filters)
    made.globals["look"] = lambda: Markup(look())
    return made
