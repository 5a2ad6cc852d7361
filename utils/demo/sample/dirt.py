"""What a dirty row is: its kind, what the migration is expected to do with it, where it goes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from utils.demo.sample.amounts import NOTHING, Amounts, Figures

Entity = Literal["buyers", "producers", "sales"]
Expectation = Literal["clean", "warning", "refused", "dependent"]
Row = dict[str, object]

# One row of each kind, and one more for every so many rows of the entity, up to the kind's most.
_ROWS_A_COPY = 300


@dataclass(frozen=True)
class DirtyKind:
    """A kind of dirty row. The expectation is what the migration does with the record:

    - clean: it is migrated, and nothing is said;
    - warning: it is migrated, and a warning says so;
    - refused: it goes to quarantine;
    - dependent: it goes to quarantine only because its party does.
    """

    key: str
    what: str
    entity: Entity
    expectation: Expectation
    most: int = 4


@dataclass(frozen=True)
class PartyDirt(DirtyKind):
    """Dirt of a party: `soil` changes the row in place. It may be given a clean party of the
    same entity, and returns the legacy id of that if the dirt is in the pair of them."""

    soil: Callable[[Row, PartyContext], str | None] = field(kw_only=True)


@dataclass(frozen=True)
class PartyContext:
    """What soiling a party may use. `index` differs for every party; `other` is a clean one."""

    rng: random.Random
    index: int
    surname: str
    other: Row


@dataclass
class Line:
    """A line in the making: its row, and the figures that its amounts follow from."""

    row: Row
    figures: Figures


@dataclass
class Sale:
    """A sale in the making. `sums` are those of its lines, set when they are priced."""

    row: Row
    lines: list[Line]
    sums: Amounts = NOTHING


@dataclass(frozen=True)
class SaleContext:
    """What soiling a sale may use: legacy ids of parties that are not migrated, the `previous`
    sale, and how many sales there were before (`index`)."""

    rng: random.Random
    index: int
    previous: Sale | None
    disabled: Mapping[Entity, Sequence[int]]
    refused: Mapping[Entity, Sequence[int]]


@dataclass(frozen=True)
class SaleDirt(DirtyKind):
    """Dirt of a sale: `soil` changes it in place, before its lines are priced if
    `before_pricing`. With `after_clean`, the sale before it is clean, numbered and its pair:
    `soil` returns the legacy id of that. It takes a refused party of the entity `needs_refused`.
    """

    soil: Callable[[Sale, SaleContext], str | None] = field(kw_only=True)
    before_pricing: bool = False
    after_clean: bool = False
    needs_refused: Entity | None = None


@dataclass(frozen=True)
class Planted:
    """A dirty row that was written. `partner` is the other row when the dirt is in a pair (two
    parties with one VAT number): a finding may name either, or both."""

    kind: str
    entity: Entity
    legacy_id: str
    expectation: Expectation
    partner: str | None = None


Kind = TypeVar("Kind", bound=DirtyKind)


def copies(kinds: Sequence[Kind], count: int) -> list[Kind]:
    """The dirty rows for an entity of `count` rows: each kind once, then again and again until
    it has its share. At least one row stays clean: what does not fit is left out from the end.
    """
    wanted = list(kinds)
    most = max((kind.most for kind in kinds), default=0)
    for copy in range(2, 1 + min(most, 1 + count // _ROWS_A_COPY)):
        wanted += [kind for kind in kinds if copy <= kind.most]
    return wanted[: max(0, count - 1)]
