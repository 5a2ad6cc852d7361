"""What following the log needs there: settings of the server, rights of the account, tables that
can be told apart; each with what a DBA runs or sets for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from extract.change_log.change_log import Followed
from extract.change_log.postgresql.control import Control
from extract.change_log.postgresql.publication import Publication, find_publication, making
from extract.change_log.postgresql.slots import names_of
from extract.change_log.postgresql.stream import APPLICATION, Replication
from extract.change_log.postgresql.tables import Member, TableFacts, facts_of
from extract.change_log.requirement import Requirement
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag

NAME = "s9_migrate"
_OLDEST = 100000
_SERVER = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int,
        pg_is_in_recovery(), pg_backend_pid(), current_setting('wal_level'),
        current_setting('max_replication_slots')::int, current_setting('max_wal_senders')::int,
        current_setting('synchronous_standby_names'),
        (SELECT count(*) FROM pg_replication_slots),
        (SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY(%s)),
        (SELECT count(*) FROM pg_stat_replication),
        (SELECT count(*) FROM pg_stat_replication WHERE application_name = %s),
        current_user::text,
        (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user),
        (SELECT bool_or(pg_has_role(oid, 'USAGE')) FROM pg_roles
            WHERE rolname = 'rds_replication'),
        has_database_privilege(current_database(), 'CREATE'), current_database()::text
"""
_RESTART = "then restart the server"
_ON_RDS = "in the parameter group of the instance"
_ON_AURORA = "in the parameter group of the CLUSTER"


def postgres_requirements(config: SourceConfig, followed: Sequence[Followed]) -> list[Requirement]:
    """As `requirements` (extract/following/opening.py)."""
    raise NotImplementedError
