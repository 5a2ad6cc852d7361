"""What the database changes by itself along with other rows: foreign keys.

InnoDB does that below the log: of what ON DELETE CASCADE deletes, or ON UPDATE SET NULL empties,
there is no row in it (seen on MariaDB 10.11); only the row at which it began is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from extract.change_log.change_log import Followed
from extract.change_log.mysql.control import Control
from extract.change_log.requirement import UNPRIVILEGED, Requirement
from extract.mysql.queries import quote
from utils.wording.invocation import command

_HARMLESS = ("RESTRICT", "NO ACTION")
_NAME = r"`(?:[^`]|``)+`"
_RULE = r"RESTRICT|NO ACTION|CASCADE|SET NULL|SET DEFAULT"
# A line of a table's definition, as the server writes it.
_DEFINED = re.compile(
    rf"^ *CONSTRAINT (?P<name>{_NAME}) FOREIGN KEY \((?P<columns>[^\n]+?)\) REFERENCES "
    rf"(?:(?P<schema>{_NAME})\.)?(?P<to>{_NAME}) \((?P<to_columns>[^\n]+?)\)"
    rf"(?P<rules>(?: ON (?:DELETE|UPDATE) (?:{_RULE}))*)",
    re.MULTILINE,
)


class _ForeignKey(NamedTuple):
    """One that changes rows by itself, with a column of it and where that points to."""

    name: str
    table: str
    column: str
    schema: str
    to_table: str
    to_column: str
    on_delete: str
    on_update: str


def cascades(control: Control, followed: Sequence[Followed]) -> Iterator[Requirement]:
    """A requirement that is not met for each foreign key by which followed rows change without
    being in the log."""
    for each in dict.fromkeys(followed):
        for key in _foreign_keys(control, each):
            if not _is_told(key, each, followed, control.database):
                yield _not_followed(key)


def _foreign_keys(control: Control, table: Followed) -> Iterator[_ForeignKey]:
    """Those of a table that exists; an account that can only select may ask for its definition,
    not for information_schema's."""
    defined = control.if_allowed(f"SHOW CREATE TABLE {quote(table.table)}")
    text = "".join(str(row[1]) for row in defined)
    for found in _DEFINED.finditer(text):
        schema, name = found["schema"] or control.database, found["to"]
        columns = zip(_names(found["columns"]), _names(found["to_columns"]), strict=True)
        for column, to_column in columns:
            key = _ForeignKey(
                *(
                    _plain(found["name"]),
                    table.table,
                    column,
                    _plain(schema),
                    _plain(name),
                    to_column,
                ),
                *(_rule(found["rules"], "DELETE"), _rule(found["rules"], "UPDATE")),
            )
            if not (key.on_delete in _HARMLESS and key.on_update in _HARMLESS):
                yield key


def _names(listed: str) -> list[str]:
    return [_plain(each) for each in re.findall(_NAME, listed)]


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _rule(rules: str, event: str) -> str:
    found = re.search(rf"ON {event} ({_RULE})", rules)
    return found[1] if found else "RESTRICT"


def _is_told(
    key: _ForeignKey, table: Followed, followed: Sequence[Followed], database: str
) -> bool:
    """Whether the row at which it begins leads to these rows: it is that of a followed record,
    which has them as its children, or whose copies they hold. A record does not lead to others of
    its own table."""
    begins = {each.table.lower(): each.key.lower() for each in followed if not each.parent}
    if key.schema.lower() != database.lower():
        return False
    if begins.get(key.to_table.lower()) != key.to_column.lower():
        return False
    if table.parent:
        return key.column.lower() == table.parent.lower()
    return key.to_table.lower() != table.table.lower()


def _not_followed(key: _ForeignKey) -> Requirement:
    return Requirement(
        f"foreign key {key.name}",
        f"{key.table}.{key.column} follows {key.to_table}.{key.to_column} by itself (ON DELETE "
        f"{key.on_delete}, ON UPDATE {key.on_update}): what the database changes so is in no log",
        holds=False,
        own=(
            f"let the foreign key {key.name} be ON DELETE RESTRICT ON UPDATE RESTRICT, if S9's "
            "vendor agrees",
            f"or keep in step without the log: {command(UNPRIVILEGED)}",
        ),
    )
