"""After a repair the target is the undamaged one, and what is the application's is untouched."""

from __future__ import annotations

from tests.support.damage.commands import require_repaired
from tests.support.damage.desk import Migrated
from tests.support.damage.kinds.all_kinds import DAMAGES
from tests.support.damage.mixtures import Mixture


def test_all_that_can_be_repaired_is_as_it_was_loaded(migrated: Migrated) -> None:
    mixture = Mixture(migrated.tables, 21)
    require_repaired(migrated, mixture.damage(10), mixture.told)


def test_all_that_is_there_twice_is_repaired(migrated: Migrated) -> None:
    done = DAMAGES["everything_is_there_once_more_under_readable_ids"].happens(migrated.tables)
    assert done is not None
    require_repaired(migrated, done, [])
