"""Fills S9's tables with sample data: Italian trade that never was, with known dirty rows.

The same size and seed give the same rows (with the same version of Faker).
"""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import dataclass
from itertools import islice

from utils.demo.sample.dirt import Expectation, Planted
from utils.demo.sample.dirty_parties import DIRTY_BUYERS, DIRTY_PRODUCERS
from utils.demo.sample.dirty_sales import DIRTY_SALES
from utils.demo.sample.parties import make_parties
from utils.demo.sample.pools import draw_pools
from utils.demo.sample.sales import SaleMaker, make_plan
from utils.demo.sample.schema import MSG, MSG_ANAG, MSG_LINE, AnyConnection, Names
from utils.demo.sample.writer import writer_to

DEFAULT_SEED = 20_260_130
_ROWS_A_COPY = 2_000


@dataclass(frozen=True)
class SampleSize:
    """How many rows a migration finds: buyers and producers that are enabled, sales that are
    enabled. A few disabled ones come on top of each.

    Every kind of dirty row is present from `s9_dirty.MINIMUM` upwards; smaller samples leave
    kinds out. The least is one of each.
    """

    buyers: int = 1_250
    producers: int = 430
    sales: int = 8_542


@dataclass(frozen=True)
class SampleReport:
    """What was written: enabled rows by entity as asked for in `size`, `lines` of the enabled
    sales, disabled rows, and every dirty row. `beside_the_last` are the legacy ids of sales on the
    day of their year's last number: clean, but the index of numbers must do without them."""

    size: SampleSize
    seed: int
    lines: int
    disabled_buyers: int
    disabled_producers: int
    disabled_sales: int
    planted: tuple[Planted, ...]
    beside_the_last: frozenset[str] = frozenset()

    def keys(self, entity: str, *expectations: Expectation) -> set[str]:
        """Legacy ids of the entity's dirty rows with one of these expectations."""
        return {
            planted.legacy_id
            for planted in self.planted
            if planted.entity == entity and planted.expectation in expectations
        }

    def quarantined(self, entity: str) -> set[str]:
        """Legacy ids of the records that are expected in quarantine."""
        return self.keys(entity, "refused", "dependent")

    def without_warning(self, entity: str, warned: Set[str]) -> set[str]:
        """Legacy ids of the entity's rows that should have been warned of and are not among
        `warned`; of a pair, it is enough that one is."""
        return set(self._beside(entity) - warned) | {
            planted.legacy_id
            for planted in self.planted
            if planted.entity == entity
            and planted.expectation == "warning"
            and not {planted.legacy_id, planted.partner} & warned
        }

    def unplanted(self, entity: str, named: Set[str]) -> set[str]:
        """Those of `named`, legacy ids with a finding, that should have none: rows that are
        neither dirty (with another expectation than "clean") nor the pair of one that is, nor
        beside the last number of their year."""
        expected = {
            key
            for planted in self.planted
            if planted.entity == entity and planted.expectation != "clean"
            for key in (planted.legacy_id, planted.partner)
        }
        return set(named) - expected - self._beside(entity)

    def suspicious(self, entity: str) -> set[str]:
        """Legacy ids of the records of which a warning is expected."""
        return self.keys(entity, "warning") | self._beside(entity)

    def _beside(self, entity: str) -> frozenset[str]:
        return self.beside_the_last if entity == "sales" else frozenset()


def generate(
    connection: AnyConnection,
    size: SampleSize | None = None,
    seed: int = DEFAULT_SEED,
    names: Names = "english",
) -> SampleReport:
    """Fill the (empty) tables that `s9_schema.create_tables` made, commit, and tell what is in.

    `names` is what the tables were made with. Raises ValueError when `size` has no buyer or no
    producer, ConfigurationError when Faker is not installed.
    """
    writer = writer_to(connection, names)
    size = size or SampleSize()
    if min(size.buyers, size.producers) < 1 or size.sales < 0:
        raise ValueError("a sample needs at least one buyer and one producer")
    rng = random.Random(seed)
    pools = draw_pools(seed)
    disabled = {
        "buyers": max(1, size.buyers // 250),
        "producers": max(1, size.producers // 200),
        "sales": max(1, size.sales // 700),
    }
    parties = make_parties(
        pools,
        rng,
        {"buyers": size.buyers, "producers": size.producers},
        {"buyers": disabled["buyers"], "producers": disabled["producers"]},
        {"buyers": DIRTY_BUYERS, "producers": DIRTY_PRODUCERS},
    )
    kinds = [
        kind
        for kind in DIRTY_SALES
        if kind.needs_refused is None or parties.refused[kind.needs_refused]
    ]
    plan = make_plan(rng, kinds, size.sales, disabled["sales"])
    maker = SaleMaker(rng, parties, plan, size.sales + disabled["sales"])
    writer.insert(MSG_ANAG, parties.rows)
    sales = iter(maker)
    while chunk := list(islice(sales, _ROWS_A_COPY)):
        writer.insert(MSG, (sale.row for sale in chunk))
        writer.insert(MSG_LINE, (line.row for sale in chunk for line in sale.lines))
    writer.finish()
    return SampleReport(
        size=size,
        seed=seed,
        lines=maker.lines,
        disabled_buyers=disabled["buyers"],
        disabled_producers=disabled["producers"],
        disabled_sales=disabled["sales"],
        planted=(*parties.planted, *maker.planted),
        beside_the_last=maker.last_days.beside_the_last(),
    )
