"""Places in a binlog: a file, and a byte in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """A place; later ones are greater. `file` is the number that the file's name ends with."""

    file: int
    byte: int
    name: str = ""

    @classmethod
    def of(cls, name: str, byte: int) -> Place:
        """Raises ValueError for a name that does not end with a number."""
        return cls(int(name.rpartition(".")[2]), int(byte), name)

    @classmethod
    def parsed(cls, text: str) -> Place:
        """What `text` gave. Raises ValueError."""
        name, _, byte = text.rpartition(":")
        return cls.of(name, int(byte))

    @property
    def text(self) -> str:
        """As a report has it: "binlog.000012:4711"."""
        return f"{self.name}:{self.byte}"

    def is_before(self, other: Place) -> bool:
        return self[:2] < other[:2]


def ranges(gtids: Iterable[str]) -> tuple[str, ...]:
    """GTIDs of MySQL ("uuid:number") put together, one range for each server that has made them.
    They come in the order of the log, in which those between them are, too."""
    found: dict[str, tuple[int, int]] = {}
    for each in gtids:
        server, _, number = each.rpartition(":")
        first, last = found.get(server, (int(number), int(number)))
        found[server] = min(first, int(number)), max(last, int(number))
    return tuple(f"{server}:{first}-{last}" for server, (first, last) in found.items())
