"""Random damage with a living application: verify finds all of it, and nothing else."""

from __future__ import annotations

import pytest

from tests.support.damage.desk import Migrated, require
from tests.support.damage.mixtures import Mixture

MIXTURES = 4  # hundreds are in tests/torture/torture_damage.py


@pytest.mark.parametrize("seed", range(MIXTURES))
def test_random_damage_is_found_completely(migrated: Migrated, seed: int) -> None:
    mixture = Mixture(migrated.tables, seed)
    done = mixture.damage(6)
    require(migrated.verified(), done, mixture.told)


@pytest.mark.parametrize("seed", range(MIXTURES))
def test_a_living_application_is_no_damage(migrated: Migrated, seed: int) -> None:
    mixture = Mixture(migrated.tables, seed)
    done = mixture.work(5 * seed)
    assert done.harmless, mixture.told
    require(migrated.verified(), done, mixture.told)
