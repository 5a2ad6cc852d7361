"""What is kept of a record that has been checked, to compare it with others."""

from __future__ import annotations

from typing import NamedTuple


class NumberedSale(NamedTuple):
    """What the numbering of a year needs to know of a sale: `year` is that of its numbering,
    `is_numbered` whether it counts there, `is_in_index` whether the index of numbers has it."""

    number: int
    day: str
    year: int
    is_numbered: bool
    is_in_index: bool

    @property
    def is_candidate(self) -> bool:
        """Whether it counts in the numbering of the year of its date."""
        return self.is_numbered and self.year == int(self.day[:4])


class Facts(NamedTuple):
    """What other records are compared with: one for each record, in order.

    `key` is the record's PK, "" when it has errors and takes no part in comparisons;
    `references` are the (attribute, id) of the records it names, `shared` the (rule, value) of
    what it should share with no other record. `identity` is the PK also of one with errors, if
    others may name it. `numbering` is that of a sale without errors.
    """

    legacy_id: str
    items: int
    key: str = ""
    references: tuple[tuple[str, str], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    identity: str = ""
    numbering: NumberedSale | None = None
