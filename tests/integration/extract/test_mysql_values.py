"""Every type of column, on MariaDB and PostgreSQL: what was inserted comes out the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import S9Database
from tests.support.s9.reading import read
from utils.embedded.mariadb import EmbeddedMariaDB
from utils.embedded.postgresql import EmbeddedPostgres

UNHURRIED = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
# name: type on PostgreSQL, type on MySQL
COLUMNS = {
    "flag": ("boolean", "tinyint(1)"),
    "small": ("smallint", "smallint"),
    "whole": ("integer", "int"),
    "big": ("bigint", "bigint"),
    "exact": ("numeric(38,12)", "decimal(38,12)"),
    "money": ("numeric(18,2)", "decimal(18,2)"),
    "day": ("date", "date"),
    "moment": ("timestamp(6)", "datetime(6)"),
    "second": ("timestamp(0)", "datetime"),
    "zoned": ("timestamp(6) with time zone", "timestamp(6) null"),
    "clock": ("time(0)", "time"),
    "words": ("varchar(200)", "varchar(200)"),
    "prose": ("text", "text"),
    "old": ("varchar(100)", "varchar(100) character set latin1"),
    "older": ("varchar(100)", "varchar(100) character set utf8mb3"),
    "raw": ("bytea", "varbinary(100)"),
}
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=150)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "small": st.integers(-(2**15), 2**15 - 1),
    "whole": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "exact": st.decimals(Decimal(-(10**25)), Decimal(10**25), places=12),
    "money": st.decimals(-(10**15), 10**15, places=2),
    "day": st.dates(),
    "moment": st.datetimes(),
    "second": st.datetimes().map(lambda value: value.replace(microsecond=0)),
    "zoned": st.datetimes(
        min_value=__import__("datetime").datetime(1970, 1, 2),
        max_value=__import__("datetime").datetime(2038, 1, 18),
    ),
    "clock": st.times().map(lambda value: value.replace(microsecond=0)),
    "words": TEXT,
    "prose": TEXT,
    "old": st.text(st.characters(codec="latin-1", exclude_characters="\0"), max_size=90).filter(
        lambda text: not any("\x80" <= letter <= "\x9f" for letter in text)
    ),
    "older": st.text(
        st.characters(max_codepoint=0xFFFF, exclude_characters="\0", exclude_categories=["Cs"]),
        max_size=90,
    ),
    "raw": st.binary(max_size=90),
}
ROWS = st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()})
AWKWARD = "tab\t line\r\n quote\" back\\slash \\u0041 \x01\x1f\x7f \u2028\ufeff àÈ 😀 ' %s {} \b\f/"


@dataclass
class Pair:
    """The same table on both databases."""

    postgres: S9Database
    mariadb: S9Database
    scratch: Path

    def insert(self, row: Mapping[str, Any]) -> None:
        for s9 in (self.postgres, self.mariadb):
            s9.execute("DELETE FROM t")
            places = ", ".join(["%s"] * len(row))
            s9.execute(f"INSERT INTO t (id, {', '.join(row)}) VALUES (1, {places})", *row.values())

    def read(self) -> tuple[bytes, bytes]:
        """The row as each database writes it."""
        return read(self.postgres, self.scratch), read(self.mariadb, self.scratch)


def made(server: EmbeddedPostgres | EmbeddedMariaDB, which: int) -> Iterator[S9Database]:
    server.create_database("matrix")
    connection = server.connect("matrix")
    s9 = S9Database(server, "matrix", connection)
    columns = ", ".join(f"{name} {types[which]}" for name, types in COLUMNS.items())
    s9.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, {columns})")
    yield s9
    connection.close()


@pytest.fixture(scope="module")
def pair(
    postgres: EmbeddedPostgres, mariadb: EmbeddedMariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with suppress(StopIteration):
        both = made(postgres, 0), made(mariadb, 1)
        one, other = map(next, both)
        yield Pair(one, other, tmp_path_factory.mktemp("matrix"))
        for each in both:
            next(each, None)


@given(ROWS)
@example(dict.fromkeys(VALUES))
@example({"words": AWKWARD, "prose": AWKWARD})
@example({"words": "", "prose": " ", "old": "\xa0", "exact": Decimal("-0.000000000001")})
@UNHURRIED
def test_both_databases_write_every_value_the_same(pair: Pair, row: dict[str, Any]) -> None:
    pair.insert(row)
    from_postgres, from_mariadb = pair.read()
    assert _without_instants(from_mariadb) == _without_instants(from_postgres)
    assert orjson.loads(from_mariadb).keys() == {"id", *COLUMNS}


def _without_instants(row: bytes) -> dict[str, Any]:
    """The row without its instants, of which PostgreSQL tells that they are in UTC."""
    return {name: value for name, value in orjson.loads(row).items() if name != "zoned"}


@given(ROWS)
@UNHURRIED
def test_what_was_inserted_comes_out_canonical(pair: Pair, row: dict[str, Any]) -> None:
    pair.insert(row)
    found = orjson.loads(pair.read()[1])
    for name in ("flag", "small", "whole", "big", "words", "prose", "old", "older"):
        assert found[name] == row[name]
    for name in ("exact", "money"):
        assert row[name] is None or Decimal(found[name]) == row[name]
    for name in ("day", "moment", "second", "clock"):
        assert row[name] is None or type(row[name]).fromisoformat(_padded(found[name])) == row[name]
    assert row["raw"] is None or found["raw"] == "\\x" + row["raw"].hex()


def _padded(moment: str) -> str:
    """With six digits of a fraction, as Python 3.10 wants them."""
    whole, point, fraction = moment.partition(".")
    return f"{whole}.{fraction:0<6}" if point else whole
