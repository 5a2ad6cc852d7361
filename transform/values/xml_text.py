"""XML that some installations keep in text columns: read safely, shown as text.

A document type is refused before anything of it is read, so there are no entities but XML's own
five: nothing is expanded, and nothing outside the text is ever asked for. What is larger, deeper
or has more elements than any honest column is refused as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_CHARACTERS = 1 << 18  # four times what a MySQL `text` holds
MAX_DEPTH = 32
MAX_ELEMENTS = 10_000


class UnreadableXml(Exception):
    """A text is not well-formed XML, or not safe to read. The message quotes nothing of it."""


@dataclass
class Element:
    """An element: its name, its attributes, and its own text without white space around it."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)


def parse(text: str) -> Element:
    """Return the root element of an XML document. Raises UnreadableXml."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableXml(f"it has {len(text):,} characters")
    reader = _Reader()
    try:
        # Encoded here, so that the encoding that a document declares does not matter.
        reader.parser.Parse(text.strip().encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise UnreadableXml(f"{expat.ErrorString(error.code)} ({place})") from None
    return reader.top.children[0]


def flat(element: Element) -> str:
    """Return what an element says on one line: "name: text" for each of its parts, or its text."""
    parts = [f"{name}: {value}" for name, value in _parts(element)]
    if element.text:
        parts.append(element.text)
    return ", ".join(parts)


def records(root: Element) -> list[str]:
    """Return what a document says, a line for each child of its root that has parts.

    A root that has no such child is one record: its children are the parts.
    """
    if any(child.children or child.attributes for child in root.children):
        shown = [flat(Element("", root.attributes, root.text)), *map(flat, root.children)]
    else:
        shown = [flat(root)]
    return [line for line in shown if line]


def _parts(element: Element) -> Iterator[tuple[str, str]]:
    """The attributes and descendants of an element that hold a text, by name."""
    for name, value in element.attributes.items():
        if value.strip():
            yield name, value.strip()
    for child in element.children:
        if child.text:
            yield child.name, child.text
        yield from _parts(child)


class _Reader:
    """Builds the tree while expat reads; raises UnreadableXml from within."""

    def __init__(self) -> None:
        self.top = Element("", {})
        self._open = [self.top]
        self._texts: list[list[str]] = [[]]
        self._elements = 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse(self, *_declaration: object) -> None:
        raise UnreadableXml("it declares a document type, which could define entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise UnreadableXml(f"it has more than {MAX_ELEMENTS:,} elements")
        if len(self._open) > MAX_DEPTH:
            raise UnreadableXml(f"it is nested deeper than {MAX_DEPTH} levels")
        element = Element(name, attributes)
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._open.pop().text = " ".join("".join(self._texts.pop()).split())

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)
