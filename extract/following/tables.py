"""The tables of S9 that are followed, and what a change of their rows means for the entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from extract.change_log.change_log import Changes, Followed
from extract.declaration import Entity
from extract.engine import open_for, planned_of
from extract.following.own_sql import require_followed
from extract.selection import source_name
from extract.snapshot.continuity import tables_of
from extract.snapshot.lost import read_in_spite_of_losses
from utils.config import ExtractionConfig
from utils.run.run import Run
from utils.wording.invocation import again


def followed_tables(run: Run, declared: Mapping[str, Entity]) -> list[Followed]:
    """The tables that the entities are read from, with the names that their keys have in this S9.
    Raises SourceError; SourceUnavailable when S9 stays away; ConfigurationError where others are
    read, too, by SQL of the operator's own."""
    return read_in_spite_of_losses(run, partial(_followed_now, run, declared), again())


def _followed_now(run: Run, declared: Mapping[str, Entity]) -> list[Followed]:
    with open_for(run, declared) as source:
        found: dict[str, Followed] = {}
        for entity in declared.values():
            planned = planned_of(run, source, entity)
            key = source_name(planned.columns[entity.table.name], entity.table.key)
            found.setdefault(entity.table.name, Followed(entity.table.name, key))
            for declared_copy, copy in zip(entity.copies, planned.records.copies, strict=True):
                name = declared_copy.table.name
                found.setdefault(name, Followed(name, copy.key.name))
            if entity.children is not None and planned.children is not None:
                child = entity.children.table
                key = source_name(planned.columns[child.name], child.key)
                found[child.name] = Followed(child.name, key, planned.children.key)
        require_followed(run.config, source, declared, found)
        return list(found.values())


@dataclass(frozen=True)
class Touched:
    """Which records of an entity are to be read again: all of them (`whole`), or those with these
    `keys`; those that have one of `children` (keys of rows); and those that name one of the keys in
    `references`, by the column that names it."""

    whole: bool = False
    keys: frozenset[int] = frozenset()
    children: frozenset[int] = frozenset()
    references: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def is_looked_up(self) -> bool:
        """Whether the extracted file has to say which records they are."""
        return bool(self.children or any(self.references.values()))

    @property
    def is_empty(self) -> bool:
        return not (self.whole or self.keys or self.is_looked_up)


def touched_by(changes: Changes, entity: Entity, extraction: ExtractionConfig) -> Touched:
    """What changes mean for an entity. Where SQL of the operator's own, or another table, decides
    which records there are, any change may mean any record."""
    whole = Touched(whole=True)
    if changes.whole:
        return whole
    if changes.is_empty:
        return Touched()
    if not _tells_keys(entity, extraction):
        return whole
    query = entity.queries[extraction.disabled_parties]
    mentioned = [each.name for each in entity.mentions if f"{{{each.name}." in query]
    if any(changes.keys.get(name) for name in mentioned):
        return whole
    keys = changes.keys.get(entity.table.name, set())
    children: set[int] = set()
    if entity.children is not None:
        keys = keys | changes.parents.get(entity.children.table.name, set())
        children = changes.keys.get(entity.children.table.name, set())
    references = {
        copy.reference: frozenset(changes.keys.get(copy.table.name, ())) for copy in entity.copies
    }
    return Touched(keys=frozenset(keys), children=frozenset(children), references=references)


def _tells_keys(entity: Entity, extraction: ExtractionConfig) -> bool:
    """Whether a record depends on nothing but rows that the log names for it."""
    chosen = [extraction.of(entity.name)]
    chosen += [extraction.of(copy.of) for copy in entity.copies if copy.of]
    return tables_of(entity, extraction) is not None and not any(each.limit for each in chosen)


def names_of(changes: Changes) -> Iterator[str]:
    """The tables that changes are of, with how many keys each."""
    for table in sorted({*changes.keys, *changes.parents}):
        count = len(changes.keys.get(table, ())) + len(changes.parents.get(table, ()))
        if count:
            yield f"{table} ({count:,})"
