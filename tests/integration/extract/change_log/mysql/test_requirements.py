"""What following needs there, and what a DBA runs for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from extract.change_log.change_log import Followed
from extract.change_log.requirement import Requirement
from extract.following.opening import drop_log, leftovers, open_log, requirements
from tests.conftest import S9Database
from tests.integration.extract.change_log.mysql.conftest import LivingS9
from tests.support.s9.logged import FOLLOWED, everything
from utils.config import Secret, SourceConfig
from utils.error_handler import SourceError


def missing(config: SourceConfig, followed: object = FOLLOWED) -> Mapping[str, Requirement]:
    found = requirements(config, followed)  # type: ignore[arg-type]
    return {each.name: each for each in found if not each.holds}


@contextmanager
def account(living: LivingS9, *rights: str, host: str = "%") -> Iterator[SourceConfig]:
    """An account with SELECT on the database, and these rights of the server."""
    user = f"o'{living.database[3:]}"
    name = f"'{user.replace(chr(39), chr(39) * 2)}'@'{host}'"
    living.run(f"CREATE USER {name} IDENTIFIED BY 'x'")
    try:
        living.run(f"GRANT SELECT ON {living.database}.* TO {name}")
        living.run(*(f"GRANT {right} ON *.* TO {name}" for right in rights))
        yield replace(living.config, username=user, password=Secret("x"))
    finally:
        living.run(f"DROP USER {name}")


def test_an_account_that_can_only_select_is_told_what_a_dba_runs_and_then_follows(
    living: LivingS9,
) -> None:
    with account(living, host="127.0.0.1") as config:
        [found] = missing(config).values()
        assert found.told == f"{config.username} needs the privilege REPLICATION SLAVE"
        name = config.username.replace("'", "''")
        assert found.own == (f"GRANT REPLICATION SLAVE ON *.* TO '{name}'@'127.0.0.1';",)
        with pytest.raises(SourceError, match="needs the privilege REPLICATION SLAVE"):
            open_log(config, None, FOLLOWED, living.name, {})
        living.run(*found.own)
        assert missing(config) == {}
        with open_log(config, None, FOLLOWED, living.name, {}) as log:
            living.run("DELETE FROM msg_line WHERE id = 10")
            found_changes = everything(log)
            assert found_changes.parents == {"msg_line": {1}}
            log.confirm(found_changes.position)
            assert log.retained().bytes == 0  # it may not ask
            known = log.state()
        living.run("DELETE FROM msg_line WHERE id = 20")
        with open_log(config, None, FOLLOWED, living.name, known) as log:
            assert log.begins_anew == ""
            assert everything(log).parents == {"msg_line": {2}}


@pytest.mark.parametrize(
    ("right", "suffices"),
    [
        ("REPLICATION REPLICA", True),
        ("ALL PRIVILEGES", True),
        ("SUPER", False),  # the server would not send its log to it
        ("BINLOG MONITOR", False),
        ("REPLICATION SLAVE ADMIN", False),
    ],
)
def test_privileges_of_other_names(living: LivingS9, right: str, suffices: bool) -> None:
    with account(living, right) as config:
        assert (missing(config) == {}) == suffices


def test_a_server_without_a_binlog(s9_on_mysql: S9Database) -> None:
    server = s9_on_mysql.server
    config = SourceConfig(
        type="mysql",
        host=server.host,
        port=server.port,
        database=s9_on_mysql.name,
        username=server.reader,
        password=Secret(server.reader_password),
        ssl=False,
    )
    found = missing(config, [])
    assert found["log_bin"].own == (
        "my.cnf, [mysqld]: log_bin = binlog",
        "my.cnf, [mysqld]: server_id = 1  -- one that no other server of yours has",
        "and restart the server",
    )
    assert found["log_bin"].rds == ("turn automated backups on (retention of a day or more)",)
    assert found["binlog_format"].own == (
        "my.cnf, [mysqld]: binlog_format = ROW",
        "SET GLOBAL binlog_format = ROW;  -- then let S9's application connect again",
    )
    assert found["binlog_row_metadata"].aurora == (
        "the DB cluster parameter group: binlog_row_metadata = FULL",
    )
    assert {*found} == {"log_bin", "binlog_format", "binlog_row_metadata", "replication slave"}
    with pytest.raises(SourceError, match="log_bin must be ON, and it is OFF"):
        open_log(config, None, [], "never", {})


def test_what_a_dba_runs_for_settings_is_enough(living: LivingS9) -> None:
    names = ("binlog_format", "binlog_row_image", "binlog_row_metadata", "log_bin_compress")
    for name, value in zip(names, ("MIXED", "MINIMAL", "MINIMAL", "ON"), strict=True):
        living.run(f"SET GLOBAL {name} = {value}")
        [found] = missing(living.config).values()
        assert (found.name, f"and it is {value}" in found.told) == (name, True)
        living.run(found.own[1].partition(";")[0])
    assert missing(living.config) == {}


def test_tables_whose_changes_the_log_would_not_tell(living: LivingS9) -> None:
    living.run("CREATE VIEW seen_through AS SELECT * FROM msg", "ALTER TABLE elsewhere ADD k TEXT")
    for followed, told in (
        (Followed("seen_through", "first_id"), "is no table but a view"),
        (Followed("nowhere", "id"), "the account sees no table nowhere"),
        (Followed("elsewhere", "k"), "elsewhere.k is no whole number"),
        (Followed("msg_line", "id", "absent"), "msg_line.absent is no whole number"),
    ):
        [found] = missing(living.config, [followed]).values()
        assert told in found.told
        with pytest.raises(SourceError, match=told):
            open_log(living.config, None, [followed], living.name, {})


def test_nothing_is_left_there(living: LivingS9) -> None:
    with living.follow():
        assert leftovers(living.config, "follow") == []
    assert drop_log(living.config, living.name) == []
