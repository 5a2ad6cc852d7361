"""From a declaration to what a database module is asked for: base queries and named columns.

Nothing here depends on the kind of database but the identifier quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple, Protocol

from extract.declaration import (
    Children,
    Column,
    ColumnMapping,
    Copy,
    Entity,
    Table,
    recognise,
    several_names,
)
from utils.config import EntityExtraction, ExtractionConfig
from utils.entities import PARTS
from utils.error_handler import ConfigurationError, SourceError
from utils.settings.sql_text import one_piece

_FROM = re.compile(r"\bFROM (\w+)")
_LONGEST_NAME = 60  # both databases take as much
_PLACEHOLDER = re.compile(r"\{(\w+)\.(\w+)\}")


class KeyRange(NamedTuple):
    """Keys that are greater than `after`, up to `upto` with it; None is no bound."""

    after: int | None = None
    upto: int | None = None

    def of(self, query: str, key: str) -> str:
        """The rows of a query whose key (a quoted name) is in the range, as a query."""
        bounds = [
            f"{key} {sign} {int(bound)}"
            for sign, bound in ((">", self.after), ("<=", self.upto))
            if bound is not None
        ]
        return f"SELECT * FROM ({query}) AS q WHERE {' AND '.join(bounds)}" if bounds else query


EVERY_KEY = KeyRange()


@dataclass(frozen=True)
class SourceColumn:
    """A column that a query returns; what kind of value it holds by the
    database's own word (`is_zoned`: a timestamp with time zone; `is_approximate`: a decimal that
    is a binary fraction). Columns of one `family` can be put in each other's place."""

    name: str
    is_integer: bool
    is_decimal: bool
    is_zoned: bool = False
    is_approximate: bool = False
    family: str = ""


class Label(NamedTuple):
    """The SQL of what tells the values of a column apart, and of what stands for one as JSON text:
    made of the former (in it "{0}"), so that it is written once for many rows. Both are different
    for what is different in the extracted file; the text is never NULL."""

    key: str
    text: str


class Amount(NamedTuple):
    """The SQL of a column as an exact number, and of the condition that it is a plain one (never
    NULL); the number may be asked for only where it is."""

    number: str
    is_plain: str


@dataclass(frozen=True)
class Field:
    """A column to read: its name in the source and the name it is written under."""

    column: SourceColumn
    name: str


@dataclass(frozen=True)
class JoinedCopy:
    """Columns of a row of `query` to carry along as one object: null where there is none, the
    number of the rows where there are several of one key, which may be so only if `doubled`."""

    name: str
    reference: str
    query: str
    key: SourceColumn
    fields: tuple[Field, ...]
    doubled: bool = False


@dataclass(frozen=True)
class Selection:
    """Rows to stream in the order of `key` (a source column), then of `order`; `table` is the
    table that children are of, and `everything` the query for all of it."""

    query: str
    key: str
    order: tuple[str, ...]
    fields: tuple[Field, ...]
    copies: tuple[JoinedCopy, ...] = ()
    table: str = ""
    everything: str = ""


@dataclass(frozen=True)
class ExtractPlan:
    """Everything that is read for one entity, and how its columns were recognised. `base` is the
    query before the configured condition and limit, `whole` that for every row of the table."""

    entity: str
    base: str
    whole: str
    records: Selection
    children: Selection | None
    children_name: str
    columns: Mapping[str, ColumnMapping]


class Catalog(Protocol):
    """What planning needs to know of the source."""

    def columns(self, query: str) -> list[SourceColumn]:
        """The columns that a SELECT returns, in order."""

    def quote(self, identifier: str) -> str:
        """An identifier, quoted."""

    def table(self, name: str) -> str:
        """A table of S9's, quoted, with what it takes that nothing else goes by its name."""

    def listed(self, table: str, /) -> list[str]:
        """All columns of a table in order, if `SELECT *` does not return them all; else none."""

    def first_of(self, columns: Sequence[SourceColumn], /) -> tuple[str, str]:
        """The SQL of the first of these columns (of the table `q`) that has a value, a blank text
        being none; and of the condition that two of them have different ones."""


def plan(
    entity: Entity,
    policy: str,
    settings: EntityExtraction,
    source: Catalog,
    only: Collection[int] | None = None,
    *,
    parties: Mapping[str, EntityExtraction] = MappingProxyType({}),
    within: KeyRange = EVERY_KEY,
) -> ExtractPlan:
    """Look at the columns that are really there and decide what to read.

    `policy` is `extraction.disabledParties`; `only` narrows the records to these keys, `within` to
    those of a range; `parties` has the settings of the entities that are copied from. Raises
    SourceError for a missing table or a missing column without which no record could be migrated.
    """
    base = configured(settings) or _with_invisible(
        _filled(entity.queries[policy], entity.mentions, source), entity.table, source
    )
    decisive = tuple(criterion.column for criterion in entity.criteria)
    records, mapping = _selection(base, entity.table, source, decisive)
    narrowed = _narrowed(records.query, settings, records.key, source, only)
    records = replace(
        records,
        query=within.of(narrowed, source.quote(records.key)),
        copies=tuple(_joined(copy, mapping, source, parties) for copy in entity.copies),
    )
    seen = {entity.table.name: mapping}
    children = None
    if entity.children is not None:
        children, seen[entity.children.table.name] = _children(entity.children, records, source)
        parent = source.quote(children.key)  # which the database does not conclude by itself
        children = replace(children, query=within.of(children.query, parent))
    return ExtractPlan(
        entity=entity.name,
        base=base,
        whole=_with_invisible(whole(entity.table, source), entity.table, source),
        records=records,
        children=children,
        children_name=entity.children.name if entity.children else "",
        columns=seen,
    )


def configured_plan(
    extraction: ExtractionConfig,
    source: Catalog,
    entity: Entity,
    only: Collection[int] | None = None,
    within: KeyRange = EVERY_KEY,
) -> ExtractPlan:
    """The `plan` of an entity as the configuration has it; of that `only` these keys, or those
    `within` a range."""
    copied = {copy.of for copy in entity.copies if copy.of}
    return plan(
        entity,
        extraction.disabled_parties,
        extraction.of(entity.name),
        source,
        only,
        parties={name: extraction.of(name) for name in copied},
        within=within,
    )


def same_family(columns: Sequence[SourceColumn]) -> bool:
    """Whether columns can be put in each other's place as they are."""
    return (
        all(column.is_integer for column in columns)
        or all(column.is_decimal and not column.is_approximate for column in columns)
        or len({column.family for column in columns}) == 1
    )


def first_of(names: Sequence[str], present: str, differ: str) -> tuple[str, str]:
    """The SQL of the first name that is `present` ("{0}" stands for it), and of the condition that
    two of those that are `differ` ("{0}" and "{1}")."""
    has_value = [present.format(name) for name in names]
    cases = " ".join(f"WHEN {has} THEN {name}" for has, name in zip(has_value, names, strict=True))
    pairs = combinations(zip(has_value, names, strict=True), 2)
    different = (f"({a} AND {b} AND {differ.format(one, two)})" for (a, one), (b, two) in pairs)
    return f"CASE {cases} ELSE {names[0]} END", " OR ".join(different)


def whole(table: Table, source: Catalog) -> str:
    """The query for every row of a table."""
    return f"SELECT * FROM {source.table(table.name)}"


def configured_sql(entity: Entity, settings: EntityExtraction, database: str) -> str:
    """One SELECT with all SQL of the operator's for an entity, "" when there is none: it is what
    the source is asked to look at first. `database` is `source.type`.

    Raises ConfigurationError for SQL that is more than one SELECT and one condition.
    """
    if not (settings.query or settings.where):
        return ""
    for name, sql in (("query", settings.query), ("where", settings.where)):
        try:
            one_piece(sql or "", database)
        except ValueError as error:
            raise ConfigurationError(
                f"extraction.{entity.name}.{name}: {error}",
                remedy="correct it in the configuration; none of it was sent to S9",
            ) from error
    base = configured(settings) or f"SELECT * FROM {entity.table.name}"
    return f"SELECT * FROM ({base}) AS q{condition(settings)}"


def condition(settings: EntityExtraction) -> str:
    """The configured condition, on lines of its own, since it may end in a comment."""
    return f" WHERE (\n{settings.where}\n)" if settings.where else ""


def configured(settings: EntityExtraction) -> str:
    """The configured query, so that it can stand in brackets: without a closing semicolon, and on
    lines of its own, since it may end in a comment."""
    query = (settings.query or "").strip().rstrip(";")
    return f"{query}\n" if query else ""


def _selection(
    query: str, table: Table, source: Catalog, fixed: Collection[str]
) -> tuple[Selection, ColumnMapping]:
    query, present, mapping = _recognised(query, table, source, (table.key, *fixed))
    key = source_name(mapping, table.key)
    if not next(column for column in present if column.name == key).is_integer:
        raise SourceError(
            f"the key {table.name}.{key} is not an integer column",
            remedy="S9's keys are integers: correct the query or the view that returns it",
        )
    taken = {*mapping.recognised.values(), *PARTS}
    fields = tuple(
        Field(column, mapping.recognised.get(column.name) or _free_name(column.name, taken))
        for column in present
    )
    return Selection(query, key, (), fields), mapping


def _recognised(
    query: str, table: Table, source: Catalog, fixed: Collection[str]
) -> tuple[str, list[SourceColumn], ColumnMapping]:
    """A query on a table, its columns, and which they are. A column that goes by several names
    here is in the query once more: for each row the first of them that has a value. Those of
    `fixed` (canonical names) are what they are: a key is no choice."""
    present = source.columns(query)
    by_name = {column.name: column for column in present}
    several = {
        canonical: names
        for canonical, names in several_names(table.columns, list(by_name)).items()
        if canonical not in fixed
    }
    if not several:
        mapping = recognise(table.columns, list(by_name))
        _require(table.columns, mapping, table.name)
        return query, present, mapping
    parts = []
    for names in several.values():
        sql, _ = source.first_of([by_name[name] for name in names])
        parts.append(f"{sql} AS {source.quote(_joint_name(names))}")
    query = f"SELECT q.*, {', '.join(parts)} FROM ({query}) AS q"
    present = source.columns(query)
    mapping = _mapping_of_several(table, [column.name for column in present], several)
    _require(table.columns, mapping, table.name)
    return query, present, mapping


def _joint_name(names: Sequence[str]) -> str:
    """The name of the column that several become."""
    return " or ".join(names)[:_LONGEST_NAME]


def _mapping_of_several(
    table: Table, present: Sequence[str], several: Mapping[str, tuple[str, ...]]
) -> ColumnMapping:
    apart = {name for names in several.values() for name in names}
    others = [column for column in table.columns if column.name not in several]
    mapping = recognise(others, [name for name in present if name not in apart])
    joint = {_joint_name(names): canonical for canonical, names in several.items()}
    unmapped = tuple(name for name in mapping.unmapped if name not in joint)
    return ColumnMapping({**mapping.recognised, **joint}, unmapped, mapping.missing, several)


def _with_invisible(query: str, table: Table, source: Catalog) -> str:
    """A declared query with the columns that its asterisk does not stand for."""
    columns = ", ".join(map(source.quote, source.listed(table.name)))
    return query.replace("SELECT *", f"SELECT {columns}", 1) if columns else query


def _free_name(name: str, taken: set[str]) -> str:
    """The name under which an unmapped column is carried: its own, unless that is taken."""
    return f"{name}_s9" if name in taken else name


def _require(known: Iterable[Column], mapping: ColumnMapping, table: str) -> None:
    missing = [column for column in known if column.required and column.name in mapping.missing]
    if missing:
        listed = "; ".join(" or ".join(column.names) for column in missing)
        raise SourceError(
            f"{table} lacks a column that every record needs: {listed}",
            remedy="check source.schema and source.layout, or write extraction.<entity>.query "
            "with the columns under these names",
        )


def source_name(mapping: ColumnMapping, canonical: str) -> str:
    """The name that a canonical column has here, which is present."""
    return next(name for name, known in mapping.recognised.items() if known == canonical)


def _filled(template: str, mentioned: Iterable[Table], source: Catalog) -> str:
    """A declared query with this installation's column names in the places of {table.column}, and
    with its tables as the source names them."""
    tables = {table.name: table for table in mentioned}

    def name_of(match: re.Match[str]) -> str:
        table = tables[match[1]]
        present = [column.name for column in source.columns(whole(table, source))]
        mapping = recognise(table.columns, present)
        _require(table.columns, mapping, table.name)
        return source.quote(source_name(mapping, match[2]))

    named = _FROM.sub(lambda match: f"FROM {source.table(match[1])}", template)
    return _PLACEHOLDER.sub(name_of, named)


def _narrowed(
    base: str,
    settings: EntityExtraction,
    key: str,
    source: Catalog,
    only: Collection[int] | None,
) -> str:
    """The base query with the configured condition and limit on top, and of that `only`."""
    query = base
    if settings.where:
        query = f"SELECT * FROM ({query}) AS q{condition(settings)}"
    if settings.limit:
        ordered = f"SELECT * FROM ({query}) AS q ORDER BY {source.quote(key)}"
        query = f"{ordered} LIMIT {settings.limit}"
    if only is not None:
        keys = ", ".join(str(int(number)) for number in sorted(only)) or "NULL"
        query = f"SELECT * FROM ({query}) AS q WHERE {source.quote(key)} IN ({keys})"
    return query


def _joined(
    copy: Copy, sale: ColumnMapping, source: Catalog, parties: Mapping[str, EntityExtraction]
) -> JoinedCopy:
    """A copy by this installation's names. Where the operator says what the parties are, what can
    be copied is what he says."""
    said = configured(parties[copy.of]) if copy.of in parties else ""
    declared = _filled(copy.query, (copy.table,), source) or whole(copy.table, source)
    query, present, mapping = _recognised(
        said or _with_invisible(declared, copy.table, source), copy.table, source, (copy.table.key,)
    )
    by_name = {column.name: column for column in present}
    return JoinedCopy(
        name=copy.name,
        reference=source_name(sale, copy.reference),
        query=query,
        key=by_name[source_name(mapping, copy.table.key)],
        fields=tuple(
            Field(by_name[name], canonical)
            for name, canonical in mapping.recognised.items()
            if canonical in copy.columns
        ),
    )


def _children(
    declared: Children, records: Selection, source: Catalog
) -> tuple[Selection, ColumnMapping]:
    """The children of exactly the selected records, in the order of their parents."""
    everything = _with_invisible(whole(declared.table, source), declared.table, source)
    selection, mapping = _selection(everything, declared.table, source, (declared.parent,))
    everything = selection.query
    parent = source_name(mapping, declared.parent)
    keys = f"SELECT {source.quote(records.key)} FROM ({records.query}) AS r"
    narrowed = replace(
        selection,
        query=f"SELECT * FROM ({everything}) AS l WHERE {source.quote(parent)} IN ({keys})"
        if mapping.several
        else f"{everything} WHERE {source.quote(parent)} IN ({keys})",
        key=parent,
        order=tuple(source_name(mapping, name) for name in declared.order),
        table=declared.table.name,
        everything=everything,
    )
    return narrowed, mapping
