"""Who may still write into S9, as MariaDB tells it to who may see that."""

from __future__ import annotations

import time
from pathlib import Path

from extract.checks.open_transactions import writers
from tests.conftest import S9Database
from tests.support.operators.operator import insert, party
from tests.support.s9.reading import opened


def test_open_transactions_are_named_on_mariadb_where_the_account_may_see_them(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    insert(s9_on_mysql, "msg_anag", party(1, 2))
    account = f"'{s9_on_mysql.server.reader}'@'%'"
    other = s9_on_mysql.server.connect(s9_on_mysql.name)
    other.autocommit(False)  # type: ignore[operator] # it is PyMySQL's
    with other.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        [number] = cursor.fetchone() or [0]
        cursor.execute("UPDATE msg_anag SET city = 'Bergamo'")
        with opened(s9_on_mysql, tmp_path) as source:
            assert "GRANT PROCESS" in writers(source, "mysql").unseen
        s9_on_mysql.execute(f"GRANT PROCESS ON *.* TO {account}")
        try:
            with opened(s9_on_mysql, tmp_path) as source:
                [name] = writers(source, "mysql").names
            assert name.startswith(f"process {number} of ")
            other.rollback()
            time.sleep(0.2)  # InnoDB gives the same answer for a tenth of a second
            with opened(s9_on_mysql, tmp_path) as source:
                assert writers(source, "mysql").names == ()
        finally:
            s9_on_mysql.execute(f"REVOKE PROCESS ON *.* FROM {account}")
            other.close()
