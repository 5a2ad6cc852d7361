"""What an operator types about a damaged target, and what must come of it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.damage.desk import Migrated
from tests.support.damage.repaired import as_repaired, is_whole
from tests.support.damage.reported import ItemAt, Reported, recorded
from tests.support.damage.tables import differing
from utils.files.workspace import Workspace

FROM_SOURCE = ("--phase", "verify", "--from-source")
REPAIR = ("--phase", "verify", "--repair", "--repair-extra")
NOTHING: dict[str, list[object]] = {"buyers": [], "producers": [], "sales": []}


def found(migrated: Migrated) -> dict[ItemAt, str]:
    """What the files of differences say."""
    return recorded(Workspace(migrated.operator.data))


def require_found(migrated: Migrated, done: dict[ItemAt, str], told: Sequence[str] = ()) -> None:
    """The files of differences say just this. `told` is what happened."""
    said = found(migrated)
    wrong = [
        f"{where}: not {done.get(where)}, but {said.get(where)}"
        for where in sorted(said.keys() | done.keys())
        if said.get(where) != done.get(where)
    ]
    assert not wrong, "\n".join([*wrong, "--", *told])


def require_repaired(migrated: Migrated, done: Reported, told: list[str]) -> None:
    """A repair mends what was done, and can be undone."""
    tables = migrated.tables
    damaged = tables.scan()
    wanted = as_repaired(damaged, tables.loaded, done)
    outcome = migrated.operator.run(*REPAIR)
    wrong = differing(tables.scan(), wanted)
    assert wrong == NOTHING, "\n".join([str(wrong), *told, outcome.output])
    outcome.ended(0 if is_whole(done) else 4)
    if done.damaged:
        migrated.operator.run("rollback", "--repair", "--yes").ended(0)
        assert differing(tables.scan(), damaged) == NOTHING, told
