"""Places in a binlog: a file, and a byte in it."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A place. `file` is the number that the file's name ends with; `log` counts the logs that were
    read since it was opened: in one that was begun anew, places say nothing of those before."""

    file: int
    byte: int
    name: str = ""
    log: int = 1

    @classmethod
    def of(cls, name: str, byte: int) -> Place:
        """Raises ValueError for a name that does not end with a number."""
        return cls(int(name.rpartition(".")[2]), int(byte), name)

    @classmethod
    def parsed(cls, text: str) -> Place:
        """What `text` gave. Raises ValueError."""
        text, _, log = text.partition("@")
        name, _, byte = text.rpartition(":")
        return cls.of(name, int(byte)).in_log(int(log or 1))

    def in_log(self, log: int) -> Place:
        """The same place in another log."""
        return self._replace(log=log)

    @property
    def text(self) -> str:
        """As a report has it: "binlog.000012:4711"."""
        return f"{self.name}:{self.byte}" + (f"@{self.log}" if self.log > 1 else "")

    def is_before(self, other: Place) -> bool:
        """Whether it comes earlier."""
        return (self.log, self.file, self.byte) < (other.log, other.file, other.byte)


class GtidRanges:
    """GTIDs of MySQL ("uuid:number") put together. Numbers that nobody has may stay so for ever
    (a group of servers hands them out in blocks): what is not in the log is in no range."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[int, int]]] = {}

    def add(self, gtid: str) -> None:
        """Take one more. Raises ValueError for what is none."""
        server, _, text = gtid.rpartition(":")
        number = int(text)
        ranges = self._found.setdefault(server, [])
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = ranges[-1][0], number
        elif not any(first <= number <= last for first, last in ranges):
            ranges.append((number, number))

    @property
    def texts(self) -> tuple[str, ...]:
        """As MySQL reads them, a text for each server that has made them."""
        return tuple(
            ":".join((server, *(f"{first}-{last}" for first, last in ranges)))
            for server, ranges in self._found.items()
        )


class GtidState:
    """The last GTID ("domain-server-number") of each domain of MariaDB."""

    def __init__(self, text: str = "") -> None:
        self._of_domain = {each.partition("-")[0]: each for each in text.split(",") if each}

    def add(self, gtid: str) -> None:
        """Take a later one."""
        self._of_domain[gtid.partition("-")[0]] = gtid

    @property
    def text(self) -> str:
        """In the order of the domains, whatever order they were in."""
        return ",".join(sorted(self._of_domain.values()))
