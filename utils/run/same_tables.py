"""A run stays with the tables that it has reached (utils/dynamodb/reached.py): bound, and looked at
again.

Before its first write a run is bound to its tables: `reached` of the manifest, and the state of
each load, say which they are. Whatever continues that run (--resume, verify, rollback,
retry-quarantine) refuses others. A run that starts over may be bound again if nothing of an earlier
one is still to be accounted for: a table that was dropped took all of it along.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from utils.config import TargetConfig
from utils.dynamodb.client import ResourceMissing, wire_to
from utils.dynamodb.reached import Reached, bind_process, require_same
from utils.dynamodb.retrying import control
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.invocation import command

SIDE = "target"
_ELSEWHERE = (
    "use the credentials and the endpoint with which the run began (target.profile, AWS_PROFILE, "
    "AWS_ENDPOINT_URL and the rest of the environment); for other tables give the migration its "
    "own data.directory"
)


def require_same_tables(run: Run, entities: Iterable[str]) -> None:
    """Raise AnotherTable unless the tables of `entities` are those that the run was bound to.
    A run that was never bound, or not to these, passes. From here on the process is bound."""
    known = _known(run)
    for table in _tables(run, entities):
        if table in known:
            _require(run.config.target, table, known[table], look(run.config.target, table))
    bind_process(run.config.target, known)


def require_tables_to_undo(run: Run, loaded: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise AnotherTable unless the tables are those that were loaded: `loaded` has for each
    entity what its load was bound to (nothing: a load of before there was that)."""
    known = _known(run)
    for entity, saved in loaded.items():
        table = run.config.target.table(entity)
        if saved:
            known[table] = Reached.of_json(saved)
        if table in known:
            _require(
                run.config.target, table, known[table], look(run.config.target, table), undo=True
            )
    bind_process(run.config.target, known)


def bind(run: Run, entities: Iterable[str], forget: Callable[[str], object]) -> None:
    """Bind the run to the tables of `entities`, which all exist; durable when this returns.

    `forget` hears first of each table that was created again in place of one that an earlier run
    has loaded. Raises AnotherTable when a run continues with others, or what an earlier one has
    written elsewhere is still to be accounted for.
    """
    target, known = run.config.target, _known(run)
    for table in _tables(run, entities):
        was, now = known.get(table), look(target, table)
        if was is not None and (now is None or not now.is_same(was)):
            if run.resuming or now is None or not now.is_same_place(was):
                _require(target, table, was, now)
            get_logger().info(
                "%s was dropped and created again since the last run, and lost what was loaded "
                "into it",
                table,
            )
            forget(table)
        if now is not None:
            known[table] = now
    run.manifest.reached[SIDE] = {name: each.as_json() for name, each in known.items()}
    run.save()
    bind_process(target, known)


def look(target: TargetConfig, table: str) -> Reached | None:
    """The table that answers now to this name, None when there is none."""
    try:
        described = control(target, "DescribeTable", {"TableName": table})["Table"]
    except ResourceMissing:
        return None
    return Reached.of(wire_to(target).endpoint, described)


def reached_by(run: Run, entity: str) -> dict[str, Any]:
    """What the run was bound to as an entity's table, for whoever keeps it; {} when it was not."""
    known: dict[str, Any] = run.manifest.reached.get(SIDE, {})
    return dict(known.get(run.config.target.table(entity), {}))


def _known(run: Run) -> dict[str, Reached]:
    saved = run.manifest.reached.get(SIDE, {})
    return {name: Reached.of_json(each) for name, each in saved.items()}


def _tables(run: Run, entities: Iterable[str]) -> Collection[str]:
    return dict.fromkeys(map(run.config.target.table, entities))


def _require(
    target: TargetConfig, table: str, was: Reached, now: Reached | None, *, undo: bool = False
) -> None:
    remedy = _ELSEWHERE
    if now is not None and now.is_same_place(was):
        remedy = (
            f"it was dropped and created again: start over: {command('--full --restart')}"
            if not undo
            else "it was dropped and created again, and what was loaded is gone: there is "
            f"nothing to undo. Start a new run: {command('--full --restart')}"
        )
    elif now is None:
        remedy = f"{_ELSEWHERE}; if it was dropped, start over: {command('--full --restart')}"
    require_same(table, was, now, endpoint=wire_to(target).endpoint, remedy=remedy)
