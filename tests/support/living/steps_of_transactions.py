"""How changes of a living S9 are committed: late, together, in part, or not at all."""

from __future__ import annotations

from tests.support.living.living_s9 import LivingS9
from tests.support.living.steps_of_parties import PARTY_STEPS
from tests.support.living.steps_of_sales import SALE_STEPS, insert_sale, update_header, update_line
from tests.support.living.steps_of_schema import SCHEMA_STEPS

_TABLES = ("msg_line", "msg", "msg_anag")


def several_at_once(s9: LivingS9) -> None:
    """Several changes in one transaction."""
    with s9.transaction():
        for _ in range(s9.chance.randint(2, 5)):
            _any_change(s9)


def rolled_back(s9: LivingS9) -> None:
    """Changes that are taken back."""
    with s9.undone(), s9.transaction() as connection:
        for _ in range(s9.chance.randint(1, 4)):
            _any_change(s9)
        connection.rollback()


def with_a_savepoint(s9: LivingS9) -> None:
    """Of three changes in a transaction the one in the middle is taken back."""
    with s9.transaction():
        _any_change(s9)
        s9.execute("SAVEPOINT here")
        with s9.undone():
            _any_change(s9)
        s9.execute("ROLLBACK TO SAVEPOINT here")
        _any_change(s9)


def begin_late(s9: LivingS9) -> None:
    """A transaction changes some sales and adds one, and stays open: its keys are given out now,
    and are seen later than those of others."""
    if s9.is_late:
        return
    before = {int(key) for (key,) in s9.rows("SELECT first_id FROM msg")}
    chosen = s9.a_sale()
    with s9.late():
        insert_sale(s9)
        added = {int(key) for (key,) in s9.rows("SELECT first_id FROM msg")} - before
        if chosen is not None:
            s9.set("msg", chosen, notes=f"tardi {s9.chance.randint(1, 99)}")
            for line, _ in s9.lines(chosen):
                s9.set("msg_line", line, unit_price="3.33")
    s9.held |= added | ({chosen} if chosen is not None else set())


def commit_late(s9: LivingS9) -> None:
    """What was left open is committed."""
    s9.end_late()


def roll_late_back(s9: LivingS9) -> None:
    """What was left open is taken back."""
    s9.end_late(commit=False)


def reload(s9: LivingS9) -> None:
    """All tables are emptied and filled again, with something missing and something changed."""
    s9.end_late()
    kept = {table: s9.whole(table) for table in _TABLES}
    for table in _TABLES:
        s9.execute(f"TRUNCATE TABLE {table}")
    for table in reversed(_TABLES):
        for row in kept[table]:
            s9.insert(table, row)
    update_header(s9)
    update_line(s9)


def _any_change(s9: LivingS9) -> None:
    """A change, whatever it is."""
    s9.chance.choice((*SALE_STEPS, *PARTY_STEPS))(s9)


TRANSACTION_STEPS = (
    several_at_once,
    rolled_back,
    with_a_savepoint,
    begin_late,
    commit_late,
    roll_late_back,
    reload,
)
STEPS = {
    step.__name__: step for step in (*SALE_STEPS, *PARTY_STEPS, *TRANSACTION_STEPS, *SCHEMA_STEPS)
}
