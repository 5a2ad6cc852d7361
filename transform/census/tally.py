"""How often what was applied: defaults, repairs, statuses, users, and the hours at which S9 works.

Each piece of a file has a tally of its own; they are added up in the order of the file, and go into
the checkpoint, the manifest and mapping_report.json. So users, and what looks personal in words,
are masked before they are counted here, whatever `logging.maskPersonalData` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

_MOST = 500  # different statuses, or users, that are told apart
OTHERS = "(others)"

_Name = TypeVar("_Name")
Mapped = Counter[tuple[str, str]]
"""How often a value of S9's became which of the target's; "" is none: the record was refused."""


@dataclass
class Tally:
    """What was applied to the records of one entity, in how many of them (or of their lines, where
    the name says so). `hours` counts the times at which S9 says that records were created, by month
    and hour as they stand there ("0317" is in March after five in the afternoon), and `latest` is
    the last of them in UTC."""

    defaults: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    statuses: Mapped = field(default_factory=Counter)
    users: Mapped = field(default_factory=Counter)
    hours: Counter[str] = field(default_factory=Counter)
    latest: str = ""

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Tally:
        """What `as_json` gave."""
        return cls(
            Counter(stored["defaults"]),
            Counter(stored["repairs"]),
            _mapped(stored["statuses"]),
            _mapped(stored["users"]),
            Counter(stored["hours"]),
            stored["latest"],
        )

    def as_json(self) -> dict[str, Any]:
        """In an order that does not depend on who has counted what."""
        return {
            "defaults": _counts(self.defaults),
            "repairs": _counts(self.repairs),
            "statuses": _as_json(self.statuses),
            "users": _as_json(self.users),
            "hours": _counts(self.hours),
            "latest": self.latest,
        }

    def add(self, other: Tally) -> None:
        """Take what another piece has counted."""
        self.defaults.update(other.defaults)
        self.repairs.update(other.repairs)
        self.hours.update(other.hours)
        _add(self.statuses, other.statuses)
        _add(self.users, other.users)
        self.latest = max(self.latest, other.latest)

    def changed_by(self, more: Tally, less: Tally) -> Tally | None:
        """This, with what one tally has counted and without what another has, of which all is in
        this one. None where that cannot be told: where there are too many different words, or the
        latest time may have gone."""
        latest = max(self.latest, more.latest)
        words = [word for each in (self, more, less) for word in (*each.statuses, *each.users)]
        if (less.latest == self.latest > more.latest) or any(word == OTHERS for word, _ in words):
            return None
        found = Tally(
            _changed(self.defaults, more.defaults, less.defaults),
            _changed(self.repairs, more.repairs, less.repairs),
            _changed(self.statuses, more.statuses, less.statuses),
            _changed(self.users, more.users, less.users),
            _changed(self.hours, more.hours, less.hours),
            latest,
        )
        return found if max(len(found.statuses), len(found.users)) <= _MOST else None

    def add_times(self, other: Tally, times: int) -> None:
        """Take what was counted of one record for so many that are like it."""
        counts: Iterable[tuple[Counter[Any], Counter[Any]]] = (
            (self.defaults, other.defaults),
            (self.repairs, other.repairs),
            (self.statuses, other.statuses),
            (self.users, other.users),
        )
        for mine, one in counts:
            for name, count in one.items():
                mine[name] += count * times


def _add(known: Mapped, more: Mapped) -> None:
    """Add counts; what comes when there are too many different ones is counted together."""
    for (word, target), count in more.items():
        is_new = (word, target) not in known and len(known) >= _MOST
        known[OTHERS if is_new else word, target] += count


def _changed(counts: Counter[_Name], more: Counter[_Name], less: Counter[_Name]) -> Counter[_Name]:
    found = counts.copy()
    found.update(more)
    found.subtract(less)
    return Counter({name: count for name, count in found.items() if count})


def _as_json(counts: Mapped) -> list[dict[str, Any]]:
    return [
        {"s9": word, "to": target or None, "count": count}
        for (word, target), count in sorted(counts.items())
        if count
    ]


def _counts(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}


def _mapped(stored: list[Mapping[str, Any]]) -> Mapped:
    return Counter({(each["s9"], each["to"] or ""): each["count"] for each in stored})
