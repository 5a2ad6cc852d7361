"""Random damage to random records, with the application at work beside it and on the same ones.

Everything comes from the seed: which kinds, on which records, in which order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.application.sale_module import text
from tests.support.damage.catalogue import Kind
from tests.support.damage.contradictions import contradictions
from tests.support.damage.kinds.all_kinds import DAMAGES, HARMLESS
from tests.support.damage.kinds.by_the_application import LATER, application_at, left
from tests.support.damage.reported import Reported, added, at, changed, deleted, nothing
from tests.support.damage.tables import MigratedTables, Record
from utils.differences import DELETED, EXTRA

_SIGNED = {"updatedAt": text(LATER), "updatedBy": text("someone@example.com")}
# Sums that agree with a damaged line are right where the application has been at the lines.
_AS_IF_RECOMPUTED = {"line_and_sums_agree_on_another_amount"}
BY_THEMSELVES = [kind for kind in DAMAGES.values() if not kind.whole]


@dataclass
class Mixture:
    """One of them. `told` is what happened, for whoever has to understand it."""

    tables: MigratedTables
    seed: int
    told: list[str] = field(default_factory=list)
    done: Reported = field(default_factory=nothing)

    def __post_init__(self) -> None:
        self._chance = self.tables.chance = random.Random(self.seed)

    def damage(self, most: int) -> Reported:
        """One to `most` kinds of damage, and about as much work of the application, on other
        records and on the same; returns what verify must report."""
        kinds = self._chance.choices(BY_THEMSELVES, k=self._chance.randint(1, most))
        kinds += self._chance.choices(list(HARMLESS.values()), k=self._chance.randint(0, most))
        self._chance.shuffle(kinds)
        for kind in kinds:
            self._happens(kind)
        return self.expected()

    def work(self, steps: int) -> Reported:
        """The application alone, so many of its steps; returns what verify must report."""
        for kind in self._chance.sample(list(HARMLESS.values()), 3):
            self._happens(kind, alone=True)
        application = application_at(self.tables)
        application.log = self.told
        for _ in range(steps):
            application.step()
        application.finish()
        self.done += left(self.tables, application)
        return self.expected()

    def all_of(self, kinds: list[Kind]) -> list[Kind]:
        """As many of these kinds as there are records for; returns the others."""
        return [kind for kind in kinds if not self._happens(kind, alone=True)]

    def expected(self) -> Reported:
        """What verify must report of all that has happened: of the items, what was done to them;
        of lines and references, what the tables contradict themselves in."""
        return Reported(self.done.items) + contradictions(self.tables.scan())

    def _happens(self, kind: Kind, *, alone: bool = False) -> bool:
        before = set(self.tables.taken)
        happened = kind.happens(self.tables)
        if happened is None:
            return False
        self.told.append(kind.name)
        self.done += happened
        if kind.name in DAMAGES and not alone and kind.name not in _AS_IF_RECOMPUTED:
            for record in self._taken_since(before):
                self._is_worked_on(record)
        return True

    def _taken_since(self, before: set[str]) -> list[Record]:
        new = self.tables.taken - before
        return [each for each in self.tables.records("sales") if each.pk in new]

    # -- the application on a damaged sale -------------------------------------------------------

    def _is_worked_on(self, sale: Record) -> None:
        """The application does something with what is whole of a damaged sale, or does not."""
        acts: list[Callable[[Record], str]] = [
            self._edits,
            self._attaches,
            self._edits_a_line,
            self._deletes,
        ]
        if self._chance.random() < 0.4:
            done = self._chance.choice(acts)(sale)
            self.told += [f"   {done}"] if done else []

    def _whole_items(self, sale: Record) -> Iterator[dict[str, object]]:
        return (item for item in sale.items if at("sales", item) not in self.done.items)

    def _edits(self, sale: Record) -> str:
        if sale.header not in self._whole_items(sale):
            return ""
        self.tables.alter("sales", sale.header, notes=text("edited"), **_SIGNED)
        self.done += changed("sales", sale.header)
        return "the application edits the header"

    def _deletes(self, sale: Record) -> str:
        if sale.header not in self._whole_items(sale):
            return ""
        self.tables.alter("sales", sale.header, deletedAt=text(LATER), **_SIGNED)
        self.done += deleted("sales", sale.header)
        for where, how in self.done.items.items():
            if how == EXTRA and where[:2] == ("sales", sale.pk):  # it goes with the sale
                self.done.items[where] = DELETED
        return "the application deletes the sale"

    def _edits_a_line(self, sale: Record) -> str:
        lines = [line for line in sale.lines if line in self._whole_items(sale)]
        if not lines:
            return ""
        line = self._chance.choice(lines)
        self.tables.alter("sales", line, notes=text("edited"), **_SIGNED)
        self.done += changed("sales", line)
        return "the application edits a line"

    def _attaches(self, sale: Record) -> str:
        item = {"PK": sale.header["PK"], "SK": text("ATTACHMENT#7"), **_SIGNED}
        self.tables.put("sales", item)
        self.done += added("sales", item)
        return "the application attaches something"
