"""What the account may do to S9: the tool only reads; best is an account that can do no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from extract.declaration import Entity
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.logger import get_logger


def warn_of_rights(source: Source, config: SourceConfig, declared: Iterable[Entity]) -> None:
    """Say so when the account could change what is read, though a session of the tool cannot."""
    writable = source.writable(tables_of_all(declared))
    if writable:
        get_logger().warning(
            "The account %s may change %s. Nothing in S9 is changed, because the session is "
            "read-only; an account that can only SELECT is safer (docs/security.md)",
            config.username,
            ", ".join(writable),
        )


def tables_of_all(declared: Iterable[Entity]) -> list[str]:
    """The names of all tables that entities are read from."""
    names: set[str] = set()
    for entity in declared:
        tables = [entity.table, *entity.mentions, *(copy.table for copy in entity.copies)]
        if entity.children:
            tables.append(entity.children.table)
        names.update(table.name for table in tables)
    return sorted(names)


def require_read_only(answers: Mapping[str, object]) -> None:
    """Check the server's own word: `answers` are its settings of that meaning, by name.

    Raises SourceError unless there is one and all of them say that nothing can be written.
    """
    if not answers or any(str(value).lower() not in ("on", "1") for value in answers.values()):
        said = ", ".join(f"{name} is {value}" for name, value in answers.items()) or "no answer"
        raise SourceError(
            f"S9 does not confirm that the session is read-only ({said})",
            remedy="connect to the database directly, or through a proxy that keeps a session's "
            "settings; or to a read-only replica",
        )
