"""docs/security.md: the accounts that an operator is told to make are enough, and can no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import S9Database, Sample, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, small_trade
from tests.support.places import ROOT
from utils.embedded.aws import EmbeddedAws

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def statements(language: str, database: str) -> list[str]:
    """The statements of the text's block in a language, for a database of another name."""
    block = TEXT.partition(f"```{language}\n")[2].partition("```")[0]
    block = re.sub(r"\bs9(?=[. ])", database, block).replace(" REQUIRE SSL", "")
    return [part.strip() for part in block.split(";") if part.strip()]


def extracts_quietly(operator: Operator) -> None:
    """The account that the text describes reads everything, and nothing is said against it."""
    operator.environment["S9_PASSWORD"] = "choose one"
    operator.configure(source={"username": "s9_migration"})
    assert "may change" not in operator.run("--phase", "extract").ended(0).stderr
    assert operator.extracted("sales")


def test_the_account_for_postgresql_is_enough_and_can_do_no_more(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    s9.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    try:
        for statement in statements("sql", s9.name):
            s9.execute(statement)
        extracts_quietly(alone)
    finally:
        s9.execute("DROP OWNED BY s9_migration")
        s9.execute("DROP ROLE s9_migration")


@pytest.fixture
def on_mysql(
    tmp_path: Path, sample_on_mysql: Sample, aws: EmbeddedAws, tables: TableNames
) -> Operator:
    return hire(tmp_path, sample_on_mysql.s9, aws, tables)


def test_the_account_for_mysql_is_enough_and_can_do_no_more(
    on_mysql: Operator, sample_on_mysql: Sample
) -> None:
    s9 = sample_on_mysql.s9
    try:
        for statement in statements("mysql", s9.name):
            s9.execute(statement)
        extracts_quietly(on_mysql)
    finally:
        s9.execute("DROP USER 's9_migration'@'%'")
