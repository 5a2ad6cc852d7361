"""Whatever happens to S9, whoever reads again what the log names, and that alone, has a copy of S9:
at every moment at which everything has been given out, and however often he is killed."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from extract.change_log.change_log import ChangeLog, Changes
from extract.source import Source
from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import everything

Rows = dict[int, Any]
STEPS = 35
_SALE = "SELECT first_id, buyer_id, notes FROM {schema}.msg"
_LINES = "SELECT id, msg_id, quantity FROM {schema}.msg_line"
_PARTIES = "SELECT first_id, name FROM {schema}.msg_anag"


@dataclass
class Copy:
    """What was extracted: sales with their lines, and parties."""

    schema: str
    sales: Rows = field(default_factory=dict)
    lines: dict[int, tuple[int, int]] = field(default_factory=dict)
    parties: Rows = field(default_factory=dict)

    def read_all(self, source: Source) -> None:
        def rows(query: str) -> list[tuple[Any, ...]]:
            return source.tally(query.format(schema=self.schema))

        self.sales = {key: rest for key, *rest in rows(_SALE)}
        self.lines = {key: (sale, quantity) for key, sale, quantity in rows(_LINES)}
        self.parties = dict(rows(_PARTIES))

    def read_again(self, changes: Changes, source: Source) -> None:
        """What a follower does: the records that are named, whole."""
        if changes.whole:
            self.read_all(source)
            return
        now = Copy(self.schema)
        now.read_all(source)
        sales = changes.keys.get("msg", set()) | changes.parents.get("msg_line", set())
        moved = changes.keys.get("msg_line", set())
        sales = sales | {self.lines[line][0] for line in moved if line in self.lines}
        for key in sales:
            _take(self.sales, now.sales, key)
            self.lines = {line: row for line, row in self.lines.items() if row[0] != key}
        self.lines |= {line: row for line, row in now.lines.items() if row[0] in sales}
        for key in changes.keys.get("msg_anag", set()):
            _take(self.parties, now.parties, key)


def _take(into: Rows, now: Rows, key: int) -> None:
    into.pop(key, None)
    if key in now:
        into[key] = now[key]


class Life:
    """S9's application, in several sessions, whose transactions overlap."""

    def __init__(self, living: LivingS9, chance: random.Random, opened: ExitStack) -> None:
        self._living = living
        self._chance = chance
        self.has_dropped = False
        self._sessions = [opened.enter_context(living.writer()) for _ in range(3)]
        for session in self._sessions:
            # The second, lest a test waits for itself for ever.
            settings = "SET lock_timeout = '30ms'; SET idle_in_transaction_session_timeout = '9s'"
            self._run(session, settings, is_kept=True)

    def step(self) -> None:
        session = self._chance.choice(self._sessions)
        if self._chance.random() < 0.1:  # nothing can be read for as long as this is open
            self.end()
            statement = self._of_a_table()
            self._run(session, statement, is_kept=True)
            self.has_dropped = self.has_dropped or statement.startswith("DROP")
            return
        kind = self._of_all if self._chance.random() < 0.1 else self._of_a_row
        if self._run(session, kind()) and self._chance.random() < 0.5:
            (session.rollback if self._chance.random() < 0.2 else session.commit)()

    def end(self) -> None:
        for session in self._sessions:
            session.commit()

    def _run(
        self, session: psycopg2.extensions.connection, statement: str, *, is_kept: bool = False
    ) -> bool:
        try:
            with session.cursor() as cursor:
                if self._chance.random() < 0.3:
                    cursor.execute("SAVEPOINT here")
                    cursor.execute("UPDATE msg SET notes = 'never' WHERE first_id = 1")
                    cursor.execute("ROLLBACK TO SAVEPOINT here")
                cursor.execute(statement)
        except psycopg2.Error:  # somebody else has a lock, or the key is taken
            session.rollback()
            return False
        if is_kept:
            session.commit()
        return True

    def _of_a_row(self) -> str:
        one, other, text = (self._chance.randint(1, 12) for _ in range(3))
        line = self._chance.randint(1, 12) * 10
        return self._chance.choice(
            [
                f"INSERT INTO msg VALUES ({one}, {other}, '{text}')",
                f"UPDATE msg SET notes = '{text}' WHERE first_id = {one}",
                f"UPDATE msg SET first_id = {one} WHERE first_id = {other}",
                f"DELETE FROM msg WHERE first_id = {one}",
                f"INSERT INTO msg_line VALUES ({line}, {one}, {text})",
                f"UPDATE msg_line SET quantity = {text} WHERE id = {line}",
                f"UPDATE msg_line SET msg_id = {one} WHERE id = {line}",
                f"UPDATE msg_line SET id = {line}, msg_id = {one} WHERE msg_id = {other}",
                f"DELETE FROM msg_line WHERE id = {line}",
                f"DELETE FROM msg_line WHERE msg_id = {one}",
                f"UPDATE msg_anag SET name = '{text}' WHERE first_id = {one % 5}",
                f"INSERT INTO msg_anag VALUES ({one}, '{text}') ON CONFLICT (first_id) "
                "DO UPDATE SET name = excluded.name",
            ]
        )

    def _of_all(self) -> str:
        number = self._chance.randint(1, 9)
        return self._chance.choice(
            [
                f"UPDATE msg_line SET quantity = quantity + {number}",
                f"UPDATE msg SET first_id = first_id + 100 WHERE first_id < {number}",
                f"INSERT INTO msg_line SELECT n, {number}, 1 FROM generate_series(200, 220) AS n",
            ]
        )

    def _of_a_table(self) -> str:
        identity = self._chance.choice(["DEFAULT", "FULL", "USING INDEX msg_line_of"])
        return self._chance.choice(
            [
                f"ALTER TABLE msg_line REPLICA IDENTITY {identity}",
                f"ALTER TABLE msg_line REPLICA IDENTITY {identity}",
                "TRUNCATE msg_line",
                "ALTER TABLE msg ADD COLUMN more int DEFAULT 1",
                "ALTER TABLE msg_line ALTER COLUMN quantity TYPE int USING quantity + 1",
                "DROP TABLE msg_anag; CREATE TABLE msg_anag (first_id bigint PRIMARY KEY, "
                "name text); INSERT INTO msg_anag VALUES (1, 'anew')",
            ]
        )


def in_step(living: LivingS9, log: ChangeLog, copy: Copy, changes: Changes) -> None:
    deadline = time.monotonic() + 20
    while True:
        with living.source() as source:
            if log.is_seen(changes, source):
                copy.read_again(changes, source)
                return
        assert time.monotonic() < deadline


@pytest.mark.parametrize("seed", range(2))
def test_the_copy_is_s9(living: LivingS9, seed: int) -> None:
    chance = random.Random(seed)
    copy, steps = Copy(living.schema), 0
    with ExitStack() as opened:
        life = Life(living, chance, opened)
        while steps < STEPS:
            with living.follow() as log:
                if log.begins_anew:
                    with living.source() as source:
                        copy.read_all(source)
                while steps < STEPS:
                    steps += 1
                    life.step()
                    if chance.random() < 0.3:
                        if life.has_dropped:  # a new slot waits for whoever is open
                            life.end()
                            life.has_dropped = False
                        changes = everything(log)
                        if chance.random() < 0.2:
                            break  # killed before anything was done
                        in_step(living, log, copy, changes)
                        fresh = Copy(living.schema)
                        with living.source() as source:
                            fresh.read_all(source)
                        assert copy == fresh
                        if chance.random() < 0.2:
                            break  # killed before it was confirmed
                        log.confirm(changes.position)
            if chance.random() < 0.2:
                with suppress(psycopg2.Error):
                    living.run(f"SELECT pg_drop_replication_slot('{living.name}')")
            life.end()
