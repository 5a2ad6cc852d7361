"""The first station of the ledger: the rows of S9's own tables, and why some are not selected.

A record that no query selects is in no file. So the rows of the whole table are counted, in the
same snapshot, by the values that decide; what the query does not return is accounted for in words.
 Values that nobody knows the meaning of are told to the operator, and an entity of which
nothing is selected is never done without being asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from extract.declaration import Children, Criterion, Entity
from extract.selection import ExtractPlan, configured, source_name
from extract.source import Source
from utils.config import EntityExtraction
from utils.error_handler import SourceError
from utils.logger import IN_THE_FILES, get_logger
from utils.wording.figures import counted
from utils.wording.invocation import again

NO_LONGER_SELECTED = "no longer selected when read again"
_MOST = 1_000  # different values that are told apart
_LISTED = 10  # reasons that a sentence has at most
_SHOWABLE = re.compile(r"[A-Za-z0-9_.+-]{1,16}", re.ASCII).fullmatch

Values = tuple[str, ...]


@dataclass(frozen=True)
class TableCount:
    """How many rows a table has, how many of them are `selected`, and the others by reason.

    `unknown` are those of the reasons that are values without a known meaning, `elsewhere` those
    of rows that belong to another entity of the table; `unclaimed` are those of the unknown ones
    that would say to which entity of the table a row belongs: all of these entities count them.
    `of` is what was counted: the table, or the setting whose query reads something else. `children`
    is the same for the rows that belong to the records, under the name that they have there.
    """

    of: str
    rows: int
    selected: int
    not_selected: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()
    children: Mapping[str, TableCount] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return {
            "name": self.of,
            "rows": self.rows,
            "selected": self.selected,
            "notSelected": dict(self.not_selected),
            "unknown": list(self.unknown),
            **{name: count.as_json() for name, count in self.children.items()},
        }


def count_table(
    source: Source,
    entity: Entity,
    planned: ExtractPlan,
    settings: EntityExtraction,
    counted: Mapping[str, int],
    told: Iterable[Mapping[str, Any]] = (),
) -> TableCount:
    """Account for every row of an entity's table, given what S9 counts of the planned selection.
    `told` are the counts of other entities (as JSON), whose unclaimed rows are known already.

    Raises SourceError when nothing is selected of a table that has rows for the entity, and the
    configuration does not ask for that.
    """
    selected = counted["records"]
    reasons = _Reasons(entity, planned, settings)
    count = _counted(source, reasons, selected)
    children = {}
    if entity.children is not None:
        lines = counted["items"] - selected
        children[entity.children.name] = _children(source, entity, entity.children, planned, lines)
    count = replace(count, children=children)
    _tell(entity.name, count, _told_of(count, told))
    if not (settings.query or settings.where or settings.limit):
        _require_some(entity.name, count)
    return count


def count_one(
    source: Source, entity: Entity, planned: ExtractPlan, settings: EntityExtraction
) -> TableCount:
    """The same of a plan that is narrowed to one row, which is not selected: whether the table has
    it, and for which reason it is left out."""
    return _counted(source, _Reasons(entity, planned, settings), 0)


class _Reasons:
    """Why rows of an entity's table are not selected, in words."""

    def __init__(self, entity: Entity, planned: ExtractPlan, settings: EntityExtraction) -> None:
        self.entity = entity
        self.planned = planned
        self.where = settings.where
        self.query = f"extraction.{entity.name}.query" if configured(settings) else ""
        mapping = planned.columns[entity.table.name]
        present = set(mapping.recognised.values())
        self._criteria = [each for each in entity.criteria if each.column in present]
        self.columns = [source_name(mapping, each.column) for each in self._criteria]
        self.unknown: set[str] = set()
        self.elsewhere: set[str] = set()
        self.unclaimed: set[str] = set()

    def of(self, values: Values, shown: Mapping[str, str]) -> str:
        """The reason of a row with these values: the first criterion that leaves it out."""
        for criterion, column, value in zip(self._criteria, self.columns, values, strict=True):
            if not _leaves_out(criterion, value):
                continue
            if value in criterion.known:
                reason = criterion.known[value]
                if value in criterion.elsewhere:
                    self.elsewhere.add(reason)
                return reason
            reason = f"{column} {shown[value]}"
            self.unknown.add(reason)
            if criterion.elsewhere:
                self.unclaimed.add(reason)
            return reason
        if reason := self.query or self.entity.otherwise:
            return reason
        # A value that looks like one that is taken, and is none to the database (a text 'true').
        said = zip(self.columns, values, strict=True)
        reason = ", ".join(f"{column} {shown[value]}" for column, value in said)
        self.unknown.add(reason)
        return reason


def _leaves_out(criterion: Criterion, value: str) -> bool:
    return value not in criterion.taken if criterion.taken else value in criterion.known


def _counted(source: Source, reasons: _Reasons, selected: int) -> TableCount:
    name, base = reasons.entity.table.name, reasons.planned.base
    shown: dict[str, str] = {}
    try:
        every = _groups(source, reasons.planned.whole, reasons.columns, shown)
    except SourceError:
        if not reasons.query:
            raise
        return _begun_with_query(source, reasons, selected)  # S9's own table need not be there
    based = every
    if sum(every.values()) != selected:
        based = _groups(source, base, reasons.columns, shown)
    left = every.copy()
    left.subtract(based)
    if reasons.query and min(left.values(), default=0) < 0:
        return _begun_with_query(source, reasons, selected)
    found: Counter[str] = Counter()
    for values, rows in left.items():
        if rows > 0:
            found[reasons.of(values, shown)] += rows
    found.update(_narrowed(source, reasons, sum(based.values()), selected))
    return TableCount(
        name,
        sum(every.values()),
        selected,
        dict(found.most_common()),
        tuple(sorted(reasons.unknown)),
        tuple(sorted(reasons.elsewhere)),
        tuple(sorted(reasons.unclaimed)),
    )


def _begun_with_query(source: Source, reasons: _Reasons, selected: int) -> TableCount:
    """The configured query does not read (only) the table: the ledger begins with the query."""
    rows = _rows(source, reasons.planned.base)
    return TableCount(reasons.query, rows, selected, _narrowed(source, reasons, rows, selected))


def _narrowed(source: Source, reasons: _Reasons, based: int, selected: int) -> dict[str, int]:
    """What the configured condition and limit leave out of the base query's rows."""
    setting, found = f"extraction.{reasons.entity.name}", {}
    rest = based
    if reasons.where:
        base = reasons.planned.base
        rest = _rows(source, f"SELECT * FROM ({base}) AS q WHERE (\n{reasons.where}\n)")
        found[f"{setting}.where"] = based - rest
    if rest > selected:
        found[f"{setting}.limit"] = rest - selected
    return {reason: rows for reason, rows in found.items() if rows}


def _rows(source: Source, query: str) -> int:
    [(rows,)] = source.tally(f"SELECT count(*) FROM ({query}) AS q")
    return int(rows)


def _groups(
    source: Source, query: str, columns: Sequence[str], shown: dict[str, str]
) -> Counter[Values]:
    """How many rows of a query have which values; `shown` learns how a value may be shown."""
    if not columns:
        return Counter({(): _rows(source, query)})
    listed = ", ".join(map(source.quote, columns))
    found: Counter[Values] = Counter()
    rows = source.tally(
        f"SELECT {listed}, count(*) FROM ({query}) AS q GROUP BY {listed} LIMIT {_MOST + 1}"
    )
    if len(rows) > _MOST:
        shown["various"] = "has too many different values"
        return Counter({("various",) * len(columns): _rows(source, query)})
    for *values, count in rows:
        words = [_word(value) for value in values]
        shown.update(zip([word.lower() for word in words], map(_shown, words), strict=True))
        found[tuple(word.lower() for word in words)] += int(count)
    return found


def _word(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):  # a BIT, or characters without a character set
        return value.decode() if value.isalnum() else str(int.from_bytes(value, "big"))
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    return str(value).strip()


def _shown(word: str) -> str:
    """A value as it may stand in a report: a short code, or that it is none."""
    if not word:
        return "blank"
    return word if _SHOWABLE(word) else "(a text that is not a code)"


def _children(
    source: Source, entity: Entity, declared: Children, planned: ExtractPlan, selected: int
) -> TableCount:
    """Account for every row of the children's table."""
    assert planned.children is not None
    table, everything = declared.table.name, planned.children.everything
    parent = source.quote(planned.children.key)
    [(rows, related)] = source.tally(f"SELECT count(*), count({parent}) FROM ({everything}) AS q")
    if rows == selected:
        return TableCount(table, rows, selected)
    found = Counter({f"{planned.children.key} NULL": rows - related})
    there = None
    with suppress(SourceError):  # where a query is configured, S9's own table need not be there
        key = source.quote(source_name(planned.columns[entity.table.name], entity.table.key))
        there = _rows(
            source,
            f"SELECT 1 AS one FROM ({everything}) AS l WHERE EXISTS (SELECT 1 FROM "
            f"({planned.whole}) AS s WHERE s.{key} = l.{parent})",
        )
    if there is None or there < selected:
        found[f"of no selected {entity.name}"] = related - selected
        return TableCount(table, rows, selected, _some(found))
    found[f"of {entity.name} that are not selected"] = there - selected
    orphans = f"of {entity.name} that {entity.table.name} does not have"
    found[orphans] = related - there
    unknown = [reason for reason in (f"{planned.children.key} NULL", orphans) if found[reason]]
    return TableCount(table, rows, selected, _some(found), tuple(unknown))


def _some(found: Counter[str]) -> dict[str, int]:
    return {reason: rows for reason, rows in found.most_common() if rows}


def _told_of(count: TableCount, others: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The unclaimed rows of a table that another of its entities has told of."""
    return frozenset(
        reason
        for other in others
        if other.get("name") == count.of
        for reason in count.unclaimed
        if reason in other["unknown"]
        and other["notSelected"].get(reason) == count.not_selected[reason]
    )


def _tell(entity: str, count: TableCount, told: Collection[str]) -> None:
    for each in (count, *count.children.values()):
        news = [reason for reason in each.unknown if each is not count or reason not in told]
        if news:
            get_logger().warning(
                "%s: %s not selected, for no known reason: %s. Fix that in S9, or say in "
                "extraction.%s.query what is to be selected",
                entity.capitalize(),
                counted(
                    sum(each.not_selected[reason] for reason in news),
                    f"row of {each.of} is",
                    f"rows of {each.of} are",
                ),
                listed(each.not_selected, news),
                entity,
            )
        others = [reason for reason in each.not_selected if reason not in each.unknown]
        if others:
            get_logger().info(
                "%s: not selected of %s: %s",
                entity.capitalize(),
                each.of,
                listed(each.not_selected, others),
                extra=IN_THE_FILES,  # the summary says it again
            )


def listed(counts: Mapping[str, int], reasons: Iterable[str]) -> str:
    """Reasons with their counts, the greatest first, as many as a sentence bears."""
    ordered = sorted(reasons, key=lambda reason: -counts[reason])
    said = [f"{reason} ({counts[reason]:,})" for reason in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        said.append(counted(len(ordered) - _LISTED, "further reason"))
    return ", ".join(said)


def _none_of(count: TableCount) -> str:
    every = f"none of the {count.rows:,} rows" if count.rows > 1 else "not even its only row"
    return f"{every} of {count.of}"


def _require_some(entity: str, count: TableCount) -> None:
    own = [reason for reason in count.not_selected if reason not in count.elsewhere]
    if own and not count.selected:
        raise SourceError(
            f"nothing of {count.of} is selected as {entity}, though it has "
            f"{counted(count.rows, 'row')}: "
            f"{listed(count.not_selected, own)}",
            remedy=f"if the rows are {entity} nevertheless, say so in extraction.{entity}.query; "
            f"if there are none to migrate, confirm it: extraction.{entity}.where: "
            f'"1 = 1", then: {again()}',
        )
    for name, children in count.children.items():
        if children.unknown and count.selected and not children.selected:
            raise SourceError(
                f"{_none_of(children)} belongs to a selected record "
                f"of {entity}: {listed(children.not_selected, children.not_selected)}",
                remedy=f"check that {children.of} names its {entity} by their key; if they have no "
                f'{name}, confirm it: extraction.{entity}.where: "1 = 1", then: {again()}',
            )
