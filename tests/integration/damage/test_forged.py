"""`verify --from-source` believes nothing that is on disk: forged files hide no damage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.support.damage.changes_in_s9 import change, said_of_it
from tests.support.damage.commands import FROM_SOURCE, found, require_found
from tests.support.damage.desk import Migrated
from tests.support.damage.forged import forge, forge_files
from tests.support.damage.mixtures import BY_THEMSELVES, Mixture
from tests.support.damage.trade import trade_again
from tests.support.faults.sabotage import SabotagedOperator
from utils.differences import (
    CHANGED_IN_SOURCE,
    DIFFERENT,
    EXTRA,
    MISSING,
    NEW_IN_SOURCE,
    REMOVED_IN_SOURCE,
)

BY_NAME = {kind.name: kind for kind in BY_THEMSELVES}
# Where the files agree with the table, S9 alone says otherwise: since when, nobody can tell.
_BY_S9_ALONE = {MISSING: NEW_IN_SOURCE, DIFFERENT: CHANGED_IN_SOURCE, EXTRA: REMOVED_IN_SOURCE}
# What the files of a run say of themselves, and so cannot be forged away.
_AGREEING = [
    "sale_is_lost",
    "cancelled_sale_is_lost",
    "line_is_lost_and_the_count_agrees",
    "sale_is_there_under_another_id_too",
    "buyer_of_another_migration_is_there",
    "header: total by_a_cent",
    "line: quantity by_a_thousandth",
    "buyer: city emptied",
    "producer: revenuePercentage by_a_cent",
    "contents_of_two_lines_are_swapped",
    "line_is_under_another_sale_and_the_counts_agree",
    "buyer_of_a_sale_is_another_one",
]


def test_files_that_agree_with_a_damaged_target_hide_nothing(kept: Migrated) -> None:
    mixture = Mixture(kept.tables, 5)
    kinds = [kind for kind in BY_THEMSELVES if kind.name in _AGREEING]
    assert len(kinds) == len(_AGREEING)
    assert mixture.all_of(kinds) == []
    done = mixture.expected()
    assert not (done.lines or done.references)
    forge(kept.operator, kept.tables.scan())
    kept.operator.run("--phase", "verify").ended(0)
    assert found(kept) == {}
    kept.operator.run(*FROM_SOURCE).ended(4)
    said = found(kept)
    assert said.keys() == done.items.keys()
    for where, how in said.items():
        assert how in (done.items[where], _BY_S9_ALONE[done.items[where]]), where


def test_without_any_file_all_damage_is_found(kept: Migrated) -> None:
    mixture = Mixture(kept.tables, 6)
    done = mixture.damage(10)
    shutil.rmtree(kept.operator.data)
    kept.operator.run(*FROM_SOURCE).ended(4)
    require_found(kept, done.items, mixture.told)


@pytest.fixture
def living(migrated: Migrated) -> Iterator[Migrated]:
    """The migration, whose S9 is put back afterwards."""
    yield migrated
    trade_again(migrated.s9)


def damaged_while_s9_changes(living: Migrated, seed: int) -> None:
    """What S9 has changed, what is damaged, and what the application has done are told apart."""
    changed = said_of_it(living.tables)
    change(living.s9)
    living.tables.taken |= {pk for _, pk, _ in changed}
    mixture = Mixture(living.tables, seed)
    done = mixture.damage(8)
    living.operator.run(*FROM_SOURCE).ended(4)
    require_found(living, {**changed, **done.items}, mixture.told)


def test_what_s9_has_changed_is_told_from_damage(living: Migrated) -> None:
    damaged_while_s9_changes(living, 7)


def test_files_of_a_verification_that_was_cut_short_hide_nothing(kept: Migrated) -> None:
    """It goes on with what it had read of S9: these files are on the same disk as all others."""
    done = BY_NAME["header: total by_a_cent"].happens(kept.tables)
    assert done is not None
    tool = SabotagedOperator.like(kept.operator)
    tool.killed(*FROM_SOURCE, phase="verify", entity="buyers", after=1)
    forge_files(kept.operator.data / "from-source", kept.tables.scan())
    outcome = kept.operator.run(*FROM_SOURCE).ended(4)
    assert "Going on with S9" not in outcome.output
    assert found(kept) == done.items


def test_killed_it_comes_to_the_same_verdict(kept: Migrated) -> None:
    mixture = Mixture(kept.tables, 8)
    done = mixture.damage(8)
    tool = SabotagedOperator.like(kept.operator)
    for phase in ("extract", "transform", "verify"):
        tool.killed(*FROM_SOURCE, phase=phase, entity="sales", after=1)
    outcome = kept.operator.run(*FROM_SOURCE).ended(4)
    assert "Going on with S9" in outcome.output
    require_found(kept, done.items, mixture.told)
