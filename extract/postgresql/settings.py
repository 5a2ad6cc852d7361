"""What is set for a transaction on PostgreSQL, so that nothing that the account, the database, the
server or a pooler brings along changes which rows are read, or how a value is written.

Everything is set by SET LOCAL inside the transaction that it is for, because a pooler may give
every transaction another session, and lend ours to the application afterwards. SET takes no
snapshot, so that tables can be locked between it and the snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extract.snapshot.rights import require_read_only
from utils.config import SourceConfig
from utils.error_handler import SourceError

APPLICATION = "s9-migrate"


@dataclass(frozen=True)
class Setting:
    """A setting, the SQL of its value, and the version of the server that it came with."""

    name: str
    value: str
    since: int = 0


_PINNED = (
    Setting("client_encoding", "'UTF8'"),
    # Which rows there are. With row_security off the server refuses to hide any.
    Setting("row_security", "off"),
    Setting("transform_null_equals", "off"),
    Setting("gin_fuzzy_search_limit", "0"),
    # How values are written, and how those in configured SQL are read.
    Setting("DateStyle", "'ISO, MDY'"),
    Setting("IntervalStyle", "'postgres'"),
    Setting("extra_float_digits", "3"),
    Setting("bytea_output", "'hex'"),
    Setting("xmlbinary", "'base64'"),
    Setting("xmloption", "'content'"),
    Setting("lc_monetary", "'C'"),
    Setting("lc_numeric", "'C'"),
    Setting("lc_time", "'C'"),
    Setting("timezone_abbreviations", "'Default'"),
    Setting("array_nulls", "on"),
    Setting("quote_all_identifiers", "off"),
    Setting("standard_conforming_strings", "on"),
    Setting("backslash_quote", "'safe_encoding'"),
    # The snapshot lives in a transaction that idles for as long as it takes.
    Setting("statement_timeout", "0"),
    Setting("idle_in_transaction_session_timeout", "0", since=90600),
    Setting("transaction_timeout", "0", since=170000),
)
# What only a superuser can set, for an account too, and what hides damaged rows.
_REQUIRED = {"zero_damaged_pages": "off", "ignore_checksum_failure": "off"}
_PROXY = (
    "connect to the database directly, or through a pooler that keeps a transaction on one "
    "connection of the server"
)


@dataclass(frozen=True)
class PinnedSettings:
    """The settings of every transaction with a server of this version."""

    settings: tuple[Setting, ...]

    @classmethod
    def of(cls, config: SourceConfig, schema: str, version: int) -> PinnedSettings:
        """`schema` is the quoted name of S9's schema, `version` as libpq gives it (150004)."""
        timezone = config.timezone.replace("'", "''")
        own = (
            # pg_temp last: where it is not named, temporary tables come before all others.
            Setting("search_path", f"{schema}, pg_temp"),
            Setting("TimeZone", f"'{timezone}'"),
        )
        return cls((*own, *(each for each in _PINNED if each.since <= version)))

    def statements(self, lock_seconds: int) -> str:
        """The SQL that makes them hold to the end of the transaction."""
        settings = (
            *self.settings,
            Setting("lock_timeout", f"'{lock_seconds}s'"),
            Setting("application_name", f"'{APPLICATION}'"),
        )
        return "; ".join(f"SET LOCAL {each.name} = {each.value}" for each in settings)

    def question(self) -> str:
        """The SQL whose one row is what `answers` takes."""
        names = [*_STATES, *(each.name for each in self.settings), *_REQUIRED]
        asked = ", ".join(f"current_setting('{name}')" for name in names)
        return f"SELECT pg_backend_pid()::text, transaction_timestamp()::text, {asked}"

    def check(self, answers: Sequence[str]) -> None:
        """Raise SourceError unless the server's answers are those of the transaction that was
        asked for: read-only, one snapshot, all settings as they were set."""
        names = [*_STATES, *(each.name for each in self.settings), *_REQUIRED]
        found = dict(zip(names, answers[2:], strict=True))
        require_read_only({_READ_ONLY: found[_READ_ONLY]})
        expected: Mapping[str, str] = {
            _ISOLATION: "repeatable read",
            **{each.name: each.value for each in self.settings},
            **_REQUIRED,
        }
        for name, value in expected.items():
            if _plain(found[name]) != _plain(value):
                raise SourceError(
                    f"S9 does not confirm the settings of the transaction: {name} is "
                    f"{found[name]!r}, and must be {value}",
                    remedy=f"reset it for the account (ALTER ROLE … RESET {name}), or {_PROXY}"
                    if name in _REQUIRED
                    else _PROXY,
                )


_ISOLATION, _READ_ONLY = "transaction_isolation", "transaction_read_only"
_STATES = (_ISOLATION, _READ_ONLY)


def _plain(value: str) -> str:
    """A setting's value, however it is quoted and spaced."""
    return re.sub(r"[\"'\s]", "", value).lower()
