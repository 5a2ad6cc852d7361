"""Every kind of damage: verify finds what it has done, by key, and nothing else.

Here many of them happen at once, each to other records; tests/torture/torture_damage.py has each by
itself, on both servers.
"""

from __future__ import annotations

import random

import pytest

from tests.support.damage.catalogue import Kind
from tests.support.damage.contradictions import contradictions
from tests.support.damage.desk import Migrated, require
from tests.support.damage.kinds.all_kinds import DAMAGES, HARMLESS
from tests.support.damage.mixtures import BY_THEMSELVES, Mixture

WHOLE = [name for name, kind in DAMAGES.items() if kind.whole]


def test_there_are_enough_kinds() -> None:
    assert len(DAMAGES) >= 90
    assert len(HARMLESS) >= 20


def test_all_that_is_damaged_is_found_and_nothing_else(migrated: Migrated) -> None:
    """The catalogue in some rounds, in each as many kinds as there are records for."""
    kinds, seed = list(BY_THEMSELVES), 0
    random.Random(1).shuffle(kinds)
    while kinds:
        kinds = one_round(migrated, kinds, seed := seed + 1)


def test_another_server_is_the_same_to_it(elsewhere: Migrated) -> None:
    """A MariaDB's target in another DynamoDB: one round, with what is harmless in it."""
    kinds = [*BY_THEMSELVES, *HARMLESS.values()]
    random.Random(2).shuffle(kinds)
    one_round(elsewhere, kinds, 2)


def one_round(migrated: Migrated, kinds: list[Kind], seed: int) -> list[Kind]:
    """As many of these kinds as there are records for, verified, and made undone; returns the
    others."""
    mixture = Mixture(migrated.tables, seed)
    left = mixture.all_of(kinds)
    assert len(left) < len(kinds)
    require(migrated.verified(), mixture.expected(), mixture.told)
    migrated.tables.heal()
    return left


@pytest.mark.parametrize("name", WHOLE[::3])
def test_what_is_lost_by_the_table_is_found(migrated: Migrated, name: str) -> None:
    done = DAMAGES[name].happens(migrated.tables)
    assert done is not None
    assert contradictions(migrated.tables.scan()) == type(done)({}, done.lines, done.references)
    require(migrated.verified(), done)


def test_what_the_application_does_is_no_damage(migrated: Migrated) -> None:
    kinds, seed = list(HARMLESS.values()), 100
    while kinds:
        kinds = one_round(migrated, kinds, seed := seed + 1)


def test_an_undamaged_target_passes(migrated: Migrated) -> None:
    verdict = migrated.verified()
    assert verdict.passed and verdict.said.items == {}
