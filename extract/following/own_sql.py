"""SQL of the operator's own (`extraction.*.query` and `where`) that depends on more than the tables
which are followed: what changes there is in no log that is read, and would be missed for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from extract.declaration import Entity
from extract.source import Source
from utils.config import Config
from utils.error_handler import ConfigurationError
from utils.settings.sql_text import names_in
from utils.wording.invocation import command

_SYSTEM = "'pg_catalog', 'information_schema', 'mysql', 'performance_schema', 'sys'"
# Whatever a SELECT may read rows of, or have read by a function.
_THERE = f"""
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema NOT IN ({_SYSTEM})
    UNION SELECT routine_schema, routine_name FROM information_schema.routines
    WHERE routine_schema NOT IN ({_SYSTEM})
        AND coalesce(external_language, 'SQL') NOT IN ('C', 'INTERNAL')
"""


def require_followed(
    config: Config, source: Source, declared: Mapping[str, Entity], followed: Collection[str]
) -> None:
    """Raise ConfigurationError where the operator's SQL names a table, a view or a function of S9
    that is not one of the `followed` tables. `source` is open."""
    found = list(_others(config, source, declared, followed))
    if found:
        raise ConfigurationError(
            f"S9's log cannot be followed with SQL that reads more than the tables which are "
            f"followed ({', '.join(sorted(followed))}): {'; '.join(found)}. What changes there "
            "would not be brought over",
            remedy=f"compare everything each time: {command('sync --every 60')}; or let the SQL "
            "do without",
        )


def _others(
    config: Config, source: Source, declared: Mapping[str, Entity], followed: Collection[str]
) -> Iterator[str]:
    database = config.source.type
    own = (config.source.database if database == "mysql" else config.source.schema).lower()
    known = {name.lower() for name in followed}
    there: list[tuple[str, str]] | None = None
    for entity in declared:
        settings = config.extraction.of(entity)
        for name, sql in (("query", settings.query), ("where", settings.where)):
            if not sql:
                continue
            if there is None:
                there = [(str(schema), str(table)) for schema, table in source.tally(_THERE)]
            words = names_in(sql, database)
            named = {
                thing
                for schema, thing in there
                if thing.lower() in words
                and (schema.lower() == own or schema.lower() in words)
                and not (schema.lower() == own and thing.lower() in known)
            }
            if named:
                yield f"extraction.{entity}.{name} names {', '.join(sorted(named))}"
