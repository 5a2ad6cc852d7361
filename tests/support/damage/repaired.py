"""What tables must hold after a repair."""

from __future__ import annotations

import copy

from tests.support.damage.reported import HARMLESS, Reported
from tests.support.damage.tables import Contents
from utils.differences import EXTRA


def as_repaired(damaged: Contents, loaded: Contents, done: Reported) -> Contents:
    """Damaged tables after `--repair --repair-extra`: each record as it was loaded, but those on
    which the application has worked, of which nothing is touched."""
    tables = copy.deepcopy(damaged)
    its_own = {(entity, pk) for (entity, pk, _), how in done.items.items() if how in HARMLESS}
    for (entity, pk, sk), how in done.items.items():
        if (entity, pk) in its_own:
            continue
        if how == EXTRA:
            tables[entity].pop((pk, sk), None)
        else:
            tables[entity][pk, sk] = loaded[entity][pk, sk]
    return tables


def is_whole(done: Reported) -> bool:
    """Whether a repair mends all of it: the application has worked on no damaged record."""
    worked_on = {where[:2] for where, how in done.items.items() if how in HARMLESS}
    return not any(where[:2] in worked_on for where in done.damaged)
