"""A living S9: its people at work on the real database, step after step, all of it from a seed.

A step is a small named function in one of the modules beside this (steps_of_sales.py,
steps_of_parties.py, steps_of_transactions.py); it is given this S9 and draws what it needs from its
chance, which a seed, the step's name and its number make. So a history is a list of words
("move_line:17"), and with some of them left out the others still do what they did, as far as there
is what they need.

What there is to draw from are the rows of the moment. Rows that an open transaction holds are left
alone by everybody else: nobody waits for a lock here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from tests.conftest import S9Database
from utils.demo.sample.schema import AnyConnection

Row = dict[str, Any]
_Row = TypeVar("_Row")
BUYER_KINDS, PRODUCER_KINDS = (2, 3), (1,)
STATUSES = ("confermato", "pagato", "bozza", "fatturato", "annullato", "proforma")
# Four days in two years, so that numbers and dates of a year are often equal or out of order.
DAYS = tuple(date(2024, 12, 29) + timedelta(days=n) for n in (0, 1, 2, 3, 4, 200))
_FEWEST = 3  # records of a kind that are left, however many steps would take one away
_PARTIES, _SALES, _LINES, _FIRST_NEW = 3, 12, 2, 5000


@dataclass
class LivingS9:
    """S9 with its people. `gone` are rows that were deleted, `mended` is what records had before
    they were spoilt, `held` are the sales that an open transaction has changed, `made_anew` says
    that a table is another by now."""

    s9: S9Database
    chance: random.Random = field(default_factory=random.Random)
    gone: list[tuple[Row, list[Row]]] = field(default_factory=list)
    mended: dict[tuple[str, int], tuple[str, object]] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    made_anew: bool = False
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._key = _FIRST_NEW
        self._late: AnyConnection | None = None
        self._connection = self.s9.connection
        self._commits = True
        self._read_committed(self._connection)

    # -- what it begins with ----------------------------------------------------------------

    def settle(self) -> None:
        """A dozen sales of two years, with none to three lines, and their parties."""
        for number in range(1, _PARTIES + 2):
            self.insert("msg_anag", self.new_party(number, 2 + number % 2))
            self.insert("msg_anag", self.new_party(20 + number, 1))
        for number in range(101, 101 + _SALES):
            buyer, producer = 1 + number % _PARTIES, 21 + number % _PARTIES
            sale = self.new_sale(number, buyer, producer, number - 100, DAYS[number % 3 + 1])
            self.insert("msg", sale)
            for place in range(number % (_LINES + 2)):
                self.insert("msg_line", self.new_line(number * 10 + place, number, place + 1))

    def new_party(self, key: int, kind: int) -> Row:
        """A row of msg_anag; every fourth has no times of its own."""
        return {
            "first_id": key,
            "kind": kind,
            "enabled": True,
            "name": f"Officina {key} srl",
            "city": "Brescia",
            "country": "IT",
            **_times(key),
        }

    def new_sale(self, key: int, buyer: int, producer: int, number: int, day: date) -> Row:
        """A row of msg; every fourth has no times of its own."""
        return {
            "first_id": key,
            "enabled": True,
            "sale_number": number,
            "sale_date": str(day),
            "buyer_id": buyer,
            "producer_id": producer,
            "status": "confermato",
            **_times(key),
        }

    def new_line(self, key: int, sale: int, place: int) -> Row:
        """A row of msg_line; every fourth has no times of its own."""
        return {
            "id": key,
            "msg_id": sale,
            "line_number": place,
            "product_description": f"Vite M{place}",
            "quantity": 2,
            "unit_price": f"{10 + key % 7}.50",
            **_times(key),
        }

    # -- steps ------------------------------------------------------------------------------

    def step(self, name: str, do: Callable[[LivingS9], object], chance: random.Random) -> None:
        """Do a step, with a chance of its own; take note of what it has written."""
        self.chance = chance
        self.told.append(f"S9 {name}")
        do(self)

    def new_key(self) -> int:
        """A key that no row has had."""
        self._key += 1
        return self._key

    def key_for(self, keys: Sequence[int]) -> int:
        """A key for a new row: often a new one, which is the highest; sometimes one in between."""
        between = self.chance.randint(min(keys, default=1), max(keys, default=1))
        is_free = between not in keys and between not in self.held
        return between if is_free and self.chance.random() < 0.3 else self.new_key()

    # -- what there is ----------------------------------------------------------------------

    def parties(self, kinds: Sequence[int], *, enabled: bool | None = None) -> list[int]:
        """The keys of parties of some kinds."""
        rows = self.rows("SELECT first_id, kind, enabled FROM msg_anag ORDER BY first_id")
        return [int(key) for key, kind, on in rows if kind in kinds and enabled in (None, bool(on))]

    def some_kinds(self) -> Sequence[int]:
        """Those of buyers, or of producers."""
        return self.chance.choice((BUYER_KINDS, PRODUCER_KINDS))

    def sales(self, *, enabled: bool | None = None) -> list[int]:
        """The keys of sales that nobody holds."""
        rows = self.rows("SELECT first_id, enabled FROM msg ORDER BY first_id")
        return [
            int(key) for key, on in rows if key not in self.held and enabled in (None, bool(on))
        ]

    def lines(self, sale: int | None = None) -> list[tuple[int, int]]:
        """Lines with the keys of their sales, which nobody holds; those of one sale, or all."""
        rows = self.rows("SELECT id, msg_id FROM msg_line ORDER BY id")
        return [
            (int(key), int(of))
            for key, of in rows
            if of not in self.held and sale in (None, int(of))
        ]

    def is_named(self, party: int) -> bool:
        """Whether a sale names a party."""
        found = self.rows(
            "SELECT first_id FROM msg WHERE buyer_id = %s OR producer_id = %s", party, party
        )
        return bool(found)

    def a_sale(self, *, enabled: bool | None = None) -> int | None:
        """A sale at random."""
        return self._any(self.sales(enabled=enabled))

    def a_sale_to_spare(self) -> int | None:
        """A sale that is migrated, and that may go."""
        found = self.sales(enabled=True)
        return self._any(found if len(found) > _FEWEST else [])

    def a_line(self) -> tuple[int, int] | None:
        """A line at random, with the key of its sale."""
        return self._any(self.lines())

    def a_party(self, *, enabled: bool | None = None) -> int | None:
        """A party at random."""
        return self._any(self.parties(self.some_kinds(), enabled=enabled))

    def a_party_to_spare(self, fits: Callable[[int], bool] = lambda _key: True) -> int | None:
        """A party that is migrated, and that may go."""
        found = self.parties(self.some_kinds(), enabled=True)
        return self._any([key for key in found if fits(key)] if len(found) > _FEWEST else [])

    def _any(self, found: Sequence[_Row]) -> _Row | None:
        return self.chance.choice(found) if found else None

    # -- statements -------------------------------------------------------------------------

    def rows(self, query: str, *values: object) -> list[Any]:
        """The rows of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            found = list(cursor.fetchall())
        if self._commits:
            self._connection.commit()
        return found

    def records(self, table: str, column: str, key: int) -> list[Row]:
        """Whole rows of a table by the value of a column."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE {column} = %s", (key,))
            names = [each[0] for each in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if self._commits:
            self._connection.commit()
        return found

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, as it has them now."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE 1 = 0")
            found = [str(each[0]) for each in cursor.description or ()]
        if self._commits:
            self._connection.commit()
        return found

    def whole(self, table: str) -> list[Row]:
        """All rows of a table, whole."""
        column = "id" if table == "msg_line" else "first_id"
        keys = self.rows(f"SELECT {column} FROM {table} ORDER BY {column}")
        return [row for (key,) in keys for row in self.records(table, column, int(key))]

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement, and commit it unless a transaction is open."""
        self.told.append(f"   {statement} {[str(value) for value in values]}"[:300])
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
        if self._commits:
            self._connection.commit()

    def insert(self, table: str, row: Row) -> None:
        """Put a row into a table."""
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())

    def set(self, table: str, key: int, **values: object) -> None:
        """Set columns of a row by its key."""
        column = "id" if table == "msg_line" else "first_id"
        names = ", ".join(f"{name} = %s" for name in values)
        self.execute(f"UPDATE {table} SET {names} WHERE {column} = %s", *values.values(), key)

    def delete_sale(self, key: int) -> None:
        """Delete a sale with its lines; it may come back."""
        sales, lines = self.records("msg", "first_id", key), self.records("msg_line", "msg_id", key)
        self.gone += [(sale, lines) for sale in sales]
        for line in lines:
            self.execute("DELETE FROM msg_line WHERE id = %s", line["id"])
        self.execute("DELETE FROM msg WHERE first_id = %s", key)

    # -- transactions -----------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[AnyConnection]:
        """What is executed meanwhile is committed together in the end, but for what is rolled
        back before."""
        self._commits = False
        try:
            yield self._connection
        finally:
            self._commits = True
            self._connection.commit()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is remembered of what happens meanwhile is forgotten: it is taken back."""
        gone, mended = list(self.gone), dict(self.mended)
        try:
            yield
        finally:
            self.gone, self.mended = gone, mended

    @property
    def is_late(self) -> bool:
        """Whether a transaction is open that will be committed later."""
        return self._late is not None

    @contextmanager
    def late(self) -> Iterator[None]:
        """What is executed meanwhile is in a transaction that stays open, on a connection of its
        own."""
        if self._late is None:
            self._late = self.s9.server.connect(self.s9.name)
            self._read_committed(self._late)
        usual, self._connection, self._commits = self._connection, self._late, False
        try:
            yield
        finally:
            self._connection, self._commits = usual, True

    def end_late(self, *, commit: bool = True) -> None:
        """The open transaction ends."""
        if self._late is not None:
            (self._late.commit if commit else self._late.rollback)()
            self._late.close()
        self._late = None
        self.held.clear()

    def _read_committed(self, connection: AnyConnection) -> None:
        """MySQL locks what is between rows, too, unless it is told not to."""
        if self.s9.type == "mysql":
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.commit()


def _times(key: int) -> Row:
    if key % 4 == 0:
        return {}
    return {"created_at": "2024-05-17 09:00:00", "updated_at": f"2024-05-18 09:{key % 60:02}:00"}
