"""What administrators do to a living S9's tables: none of it changes what is to be migrated.

A table that is altered waits for every transaction that has touched it, so none of it happens while
one is left open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from tests.support.living.living_s9 import LivingS9

_TABLES = ("msg_anag", "msg", "msg_line")
_NEW = "reparto"
_WIDER = (("msg_anag", "name"), ("msg", "buyer_name"), ("msg_line", "product_code"))

Step = Callable[[LivingS9], None]


def _alone(step: Step) -> Step:
    @wraps(step)
    def done(s9: LivingS9) -> None:
        if not s9.is_late:
            step(s9)

    return done


@_alone
def add_column(s9: LivingS9) -> None:
    """A column that nobody migrates, in some rows with something in it."""
    table = s9.chance.choice(_TABLES)
    if _has(s9, table, _NEW):
        return
    s9.execute(f"ALTER TABLE {table} ADD COLUMN {_NEW} varchar(20)")
    if s9.chance.random() < 0.5:
        s9.execute(f"UPDATE {table} SET {_NEW} = %s", f"reparto {s9.chance.randint(1, 9)}")


@_alone
def drop_column(s9: LivingS9) -> None:
    """Such a column goes; so what comes back later has it no more."""
    for table in _TABLES:
        if _has(s9, table, _NEW):
            s9.execute(f"ALTER TABLE {table} DROP COLUMN {_NEW}")
    for header, lines in s9.gone:
        for row in (header, *lines):
            row.pop(_NEW, None)


@_alone
def widen_column(s9: LivingS9) -> None:
    """A text may be longer from now on."""
    table, column = s9.chance.choice(_WIDER)
    length = s9.chance.randint(200, 400)
    change = (
        f"MODIFY {column} varchar({length})"
        if s9.s9.type == "mysql"
        else f"ALTER COLUMN {column} TYPE varchar({length})"
    )
    s9.execute(f"ALTER TABLE {table} {change}")


@_alone
def recreate_table(s9: LivingS9) -> None:
    """A table is put in the place of another that has the same rows: the name stays, what a server
    knows it by does not."""
    table = s9.chance.choice(_TABLES)
    like = "LIKE {0}" if s9.s9.type == "mysql" else "(LIKE {0} INCLUDING ALL)"
    s9.execute(f"CREATE TABLE nuova {like.format(table)}")
    s9.execute(f"INSERT INTO nuova SELECT * FROM {table}")
    with s9.transaction():
        s9.execute(f"DROP TABLE {table}")
        s9.execute(f"ALTER TABLE nuova RENAME TO {table}")
    s9.made_anew = True


@_alone
def reindex(s9: LivingS9) -> None:
    """An index is made, and taken away again."""
    table = s9.chance.choice(_TABLES[:2])
    on = f" ON {table}" if s9.s9.type == "mysql" else ""
    s9.execute(f"CREATE INDEX di_passaggio ON {table} (enabled)")
    s9.execute(f"DROP INDEX di_passaggio{on}")


def _has(s9: LivingS9, table: str, column: str) -> bool:
    return column in s9.columns(table)


SCHEMA_STEPS = (add_column, drop_column, widen_column, recreate_table, reindex)
