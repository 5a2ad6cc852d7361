"""Every kind of damage by itself, on both servers; hundreds of random ones; and two hundred
undamaged tables with a living application."""

from __future__ import annotations

import random

import pytest

from tests.integration.damage.conftest import (
    elsewhere,
    first_judge,
    kept,
    migrated,
    quick,
    second_judge,
)
from tests.support.damage.commands import FROM_SOURCE, REPAIR, found, require_repaired
from tests.support.damage.contradictions import contradictions
from tests.support.damage.desk import Migrated, require
from tests.support.damage.kinds.all_kinds import DAMAGES, HARMLESS
from tests.support.damage.mixtures import Mixture
from tests.support.damage.reported import Reported
from tests.support.faults.sabotage import SabotagedOperator, events, moments

__all__ = ["elsewhere", "first_judge", "kept", "migrated", "quick", "second_judge"]

MIXTURES = 200
UNDAMAGED = 200
ON_THE_OTHER = 20
REPAIRED = 30
KILLS = 6
COMMANDS = {
    "verify": ("--phase", "verify"),
    "from source": FROM_SOURCE,
    "repair": REPAIR,
    "repair from source": (*FROM_SOURCE, "--repair", "--repair-extra"),
    "evidence": ("evidence",),
    "explain": ("explain", "sales", "105", "--json"),
}


@pytest.fixture(params=["migrated", "elsewhere"])
def judge(request: pytest.FixtureRequest) -> Migrated:
    """Each of the two targets."""
    found: Migrated = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", [*DAMAGES, *HARMLESS])
def test_each_kind_by_itself(judge: Migrated, name: str) -> None:
    judge.tables.chance = random.Random(name)
    done = {**DAMAGES, **HARMLESS}[name].happens(judge.tables)
    assert done is not None
    assert done.harmless == (name in HARMLESS)
    beside = contradictions(judge.tables.scan())
    assert beside == Reported(lines=done.lines, references=done.references)
    require(judge.verified(), done)


@pytest.mark.parametrize("number", range(MIXTURES))
def test_random_damage_is_found_completely(migrated: Migrated, seed: int, number: int) -> None:
    damaged_at_random(migrated, seed * 1000 + number)


@pytest.mark.parametrize("number", range(UNDAMAGED))
def test_a_living_application_is_no_damage(migrated: Migrated, seed: int, number: int) -> None:
    worked_on(migrated, seed * 1000 + number)


@pytest.mark.parametrize("number", range(ON_THE_OTHER))
def test_another_server_is_the_same_to_it(elsewhere: Migrated, seed: int, number: int) -> None:
    (damaged_at_random if number % 2 else worked_on)(elsewhere, seed * 2000 + number)


@pytest.mark.parametrize("name", DAMAGES)
def test_each_kind_is_repaired(migrated: Migrated, name: str) -> None:
    migrated.tables.chance = random.Random(name)
    done = DAMAGES[name].happens(migrated.tables)
    assert done is not None
    require_repaired(migrated, done, [name])


@pytest.mark.parametrize("number", range(REPAIRED))
def test_random_damage_is_repaired(migrated: Migrated, seed: int, number: int) -> None:
    mixture = Mixture(migrated.tables, seed * 3000 + number)
    require_repaired(migrated, mixture.damage(10), mixture.told)


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_it_comes_to_the_same(kept: Migrated, seed: int, name: str) -> None:
    command, chance = COMMANDS[name], random.Random(seed)
    Mixture(kept.tables, seed).damage(8)
    damaged = kept.tables.scan()
    tool = SabotagedOperator.like(kept.operator)
    happened = events(tool, *command)
    wanted = tool.outcomes[-1].code, found(kept), kept.tables.scan()
    for moment in chance.sample(moments(happened), min(KILLS, len(moments(happened)))):
        kept.tables.become(damaged)
        tool.is_killed(*command, after=moment)
        code = tool.run(*command).code
        assert (code, found(kept), kept.tables.scan()) == wanted, happened[moment - 1]


def damaged_at_random(target: Migrated, seed: int) -> None:
    mixture = Mixture(target.tables, seed)
    done = mixture.damage(10)
    require(target.verified(), done, mixture.told)


def worked_on(target: Migrated, seed: int) -> None:
    mixture = Mixture(target.tables, seed)
    done = mixture.work(random.Random(seed).randint(1, 60))
    assert done.harmless, mixture.told
    require(target.verified(), done, mixture.told)
