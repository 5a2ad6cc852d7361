"""The publication: which tables PostgreSQL's log tells of. One that a DBA has made beforehand is
used as it is, if it is fit for it.

A publication can break S9: on a table without a replica identity UPDATE and DELETE fail as soon as
it is published. So whole tables are published, without row filters and column lists, and only after
`TableFacts.without_identity` has been asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extract.change_log.postgresql.control import Control
from extract.change_log.postgresql.tables import ROOTS_SINCE, TableFacts

_FILTERS_SINCE = 150000  # and whole schemas
_ACTIONS = ("pubinsert", "pubupdate", "pubdelete", "pubtruncate")
_FACTS = """
    SELECT to_jsonb(p), pg_get_userbyid(p.pubowner)::text, pg_has_role(p.pubowner, 'USAGE')
    FROM pg_publication AS p WHERE p.pubname = %s
"""
# Not of pg_publication_tables, which waits for whoever alters one of them.
_TABLES = """
    SELECT n.nspname::text, c.relname::text FROM pg_publication_rel AS r
        JOIN pg_publication AS p ON p.oid = r.prpubid JOIN pg_class AS c ON c.oid = r.prrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE p.pubname = %s
"""
_SCHEMAS = """
    SELECT n.nspname::text FROM pg_publication_namespace AS s
        JOIN pg_publication AS p ON p.oid = s.pnpubid JOIN pg_namespace AS n ON n.oid = s.pnnspid
    WHERE p.pubname = %s
"""
_NARROWED = """
    SELECT n.nspname::text, c.relname::text FROM pg_publication_rel AS r
        JOIN pg_publication AS p ON p.oid = r.prpubid JOIN pg_class AS c ON c.oid = r.prrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE p.pubname = %s AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)
"""


@dataclass(frozen=True)
class Publication:
    """A publication that is there; `lacks` is why the followed tables cannot be read by it, ""
    for no reason."""

    name: str
    owner: str
    is_owned: bool
    lacks: str


def find_publication(
    control: Control, name: str, schema: str, tables: Mapping[str, TableFacts]
) -> Publication | None:
    """The publication of this name, if there is one."""
    found = control.rows(_FACTS, name)
    if not found:
        return None
    [(row, owner, is_owned)] = found
    is_new = control.version >= _FILTERS_SINCE
    whole = bool(row["puballtables"])
    whole = whole or (is_new and (schema,) in control.rows(_SCHEMAS, name))
    covered = set() if whole else set(control.rows(_TABLES, name))
    narrowed = set(control.rows(_NARROWED, name)) if is_new else set()
    missing = [table for table in tables if not whole and (schema, table) not in covered]
    cut = [table for table in tables if (schema, table) in narrowed]
    silent = [action.removeprefix("pub") for action in _ACTIONS if row.get(action) is False]
    needs_root = any(facts.is_partitioned for facts in tables.values())
    lacks = ""
    if needs_root and not row.get("pubviaroot"):
        lacks = "does not publish parts as their table (publish_via_partition_root)"
    elif missing:
        lacks = f"does not publish {', '.join(missing)}"
    elif silent:
        lacks = f"does not publish {', '.join(silent)}"
    elif cut:
        lacks = f"has a row filter or a column list for {', '.join(cut)}"
    return Publication(name, str(owner), bool(is_owned), lacks)


def making(
    control: Control, name: str, schema: str, tables: Sequence[str], found: Publication | None
) -> list[str]:
    """The statements that make the publication, or make one that is there fit."""
    quoted = control.quote(name)
    listed = ", ".join(f"{control.quote(schema)}.{control.quote(table)}" for table in tables)
    actions = "insert, update, delete"
    if control.version >= 110000:
        actions += ", truncate"
    options = f"publish = '{actions}'"
    if control.version >= ROOTS_SINCE:
        options += ", publish_via_partition_root = true"
    if found is None:
        return [f"CREATE PUBLICATION {quoted} FOR TABLE {listed} WITH ({options})"]
    made = [f"ALTER PUBLICATION {quoted} SET ({options})"]
    if not found.lacks or "publish parts" in found.lacks:
        return made
    return [*made, f"ALTER PUBLICATION {quoted} SET TABLE {listed}"]
