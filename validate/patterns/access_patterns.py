"""The API's access patterns, asked of the target as the API asks, judged by the transformed file.

A pattern that scans the whole table ("list buyers", "all sales", "delta sync") is replayed on one
page of it: an unfiltered Scan of a few items says which items the page covers, and the same Scan
with the API's filter must pick those among them that the file says. The other items of the table
have been compared with the file whole, so a filter has nothing else to go by.

A partition of an index can hold most of the table (a status), so a group is compared as far as
its first sales by date. Items of others are passed over wherever they are.

Indexes follow their table after a moment: what does not come out right is asked again for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import islice
from typing import Any

import orjson

from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.dynamodb.client import RequestRefused, Unanswered
from utils.dynamodb.item_content import Item, Moments, differing_attributes, with_time
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import Index, TableSpec
from utils.entities import Children, Shape, shape_of
from utils.telemetry.tasks import Task, Tasks
from utils.wording.figures import counted
from validate.compare.file_records import FileRecord
from validate.patterns.pattern_result import MOST_FAILURES, NEXT_NUMBER, PatternResult
from validate.patterns.pattern_samples import (
    GROUP,
    MOST_LEFT,
    Earliest,
    Highest,
    Key,
    Numbered,
    Sample,
    Samples,
    pk_of,
    sample_of,
    text_of,
)

SLICE_ITEMS = 100
AT_ONCE = 16  # checks, each of which waits for one answer after the other
TOGETHER = 1_000  # checks that are there at a time
_LISTED = "attribute_not_exists(deletedAt) AND SK = :metadata"
_METADATA = {":metadata": {"S": "METADATA"}}
_NO_MOMENTS = Moments()

Check = Callable[[], list[str]]


@dataclass(frozen=True)
class Pattern:
    """A pattern with the checks that replay it; a check returns its failures as sentences.

    `count` is how many checks there are, None where nobody knows that yet; `of` how many there
    could be of `what` (None: nobody knows, 0: no more than there are checks). `sampled` is for
    patterns whose checks are of several samples each.
    """

    name: str
    request: str
    checks: Iterable[Check]
    count: int | None
    of: int | None = None
    what: tuple[str, str] | None = None
    sampled: int | None = None


class Patience:
    """How long indexes are waited for: one budget for all patterns, since they follow the same
    writes."""

    def __init__(self, retry: RetryPolicy) -> None:
        self._attempts = Attempts(retry)

    def wait(self) -> bool:
        """Wait a while; False when the budget is used up."""
        if not self._attempts.fail():
            return False
        self._attempts.wait()
        return True


def read_slice(reader: TableReader, table: str) -> list[Key]:
    """The keys of the first items of a table, in its own order."""
    return _keys(reader.ask("Scan", {"TableName": table, "Limit": SLICE_ITEMS}))


def replay(
    reader: TableReader,
    table: str,
    spec: TableSpec,
    samples: Samples,
    patience: Patience,
    moments: Moments = _NO_MOMENTS,
    *,
    every: Callable[[], Iterable[FileRecord]] = tuple,
    at_once: int = AT_ONCE,
    progress: Tasks | None = None,
) -> tuple[PatternResult, ...]:
    """Replay every access pattern of an entity, `at_once` checks at a time; raises TargetError when
    the target is out of reach. A request that DynamoDB refuses is a failure of its pattern.

    Where the samples are to be every record, `every` reads the file's.
    """
    asked = _Asked(reader, table, shape_of(spec.entity), samples, moments, every)
    patterns = _FURTHER.get(spec.entity, _record_patterns)(asked, spec)
    counts = [pattern.count for pattern in patterns]
    total = None if None in counts else sum(count or 0 for count in counts)
    due = ((number, check) for number, each in enumerate(patterns) for check in each.checks)
    ran, failed = Counter[int](), Counter[int]()
    failures: dict[int, list[str]] = {number: [] for number in range(len(patterns))}
    task = (progress or Tasks()).task(
        "verify", spec.entity, total, unit="checks", step="access patterns"
    )
    with task, ThreadPoolExecutor(at_once, thread_name_prefix="replay") as pool:
        while some := list(islice(due, TOGETHER)):
            ran.update(number for number, _ in some)
            problems = _ran([check for _, check in some], pool, patience, task)
            for (number, _), found in zip(some, problems, strict=True):
                failed[number] += len(found)
                failures[number] += found[: MOST_FAILURES - len(failures[number])]
    return tuple(
        PatternResult(
            spec.entity,
            pattern.name,
            pattern.request,
            ran[number] if pattern.sampled is None else pattern.sampled,
            tuple(failures[number]),
            failed[number],
            None if pattern.of is None else max(pattern.of, ran[number]),
            pattern.what,
        )
        for number, pattern in enumerate(patterns)
    )


def _ran(
    checks: Sequence[Check], pool: Executor, patience: Patience, task: Task
) -> list[list[str]]:
    """What each check finds in the end; those that find something are asked again for a while."""
    problems: dict[Check, list[str]] = {}
    due = list(checks)
    while due:
        problems.update(zip(due, _run_all(pool, due, task), strict=True))
        due = [check for check in due if problems[check]]
        if due and not patience.wait():
            break
    task.advance(len(due), errors=len(due))
    return [problems[check] for check in checks]


def _run_all(pool: Executor, checks: Sequence[Check], task: Task) -> list[list[str]]:
    """What each check finds; those that find nothing are done, of which `task` is told. One that
    gets no answer beside the others has another try alone: a table of little capacity throttles
    many at once for longer than any of them is patient."""
    found: dict[Check, list[str] | None] = {}
    for check, problems in zip(checks, pool.map(_run, checks), strict=True):
        found[check] = problems
        task.advance(int(problems == []))
    for check in (each for each, problems in found.items() if problems is None):
        found[check] = problems = _problems_of(check)
        task.advance(int(not problems))
    return [found[check] or [] for check in checks]


def _run(check: Check) -> list[str] | None:
    try:
        return _problems_of(check)
    except Unanswered:
        return None


def _problems_of(check: Check) -> list[str]:
    try:
        return check()
    except RequestRefused as refusal:
        return [refusal.message]


def _record_patterns(asked: _Asked, spec: TableSpec) -> list[Pattern]:
    """What is asked of every entity of which nothing else is known: a record by its id, the records
    that name one, and what has changed lately."""
    return [
        asked.one(),
        *asked.by_reference(spec),
        asked.filtered(_delta(asked.samples.slice.values())),
    ]


def _party_patterns(asked: _Asked, spec: TableSpec) -> list[Pattern]:
    slice_items = asked.samples.slice.values()
    some = next((item for item in slice_items if text_of(item, "SK") == "METADATA"), {})
    name = text_of(some, "companyName")
    part = name[len(name) // 3 :][:6]
    listed = Filter(f"list {spec.entity}", _LISTED, _METADATA, _is_listed)
    filters = [
        listed,
        listed.by_value("status", text_of(some, "status")),
        listed.by_value("country", text_of(some, "country")),
        listed.narrowed(
            "with a part of the name",
            "contains(companyName, :part)",
            {":part": {"S": part}},
            lambda item: part in text_of(item, "companyName"),
        ),
    ]
    if not name:
        filters = filters[:1]
    return [asked.one(), *map(asked.filtered, [*filters, _delta(slice_items)])]


def _sale_patterns(asked: _Asked, spec: TableSpec) -> list[Pattern]:
    by_status, by_date = spec.index_of("GSI1PK"), spec.index_of("GSI4PK")
    samples = asked.samples
    every = Filter("all sales", "SK = :metadata", _METADATA, _is_metadata)
    return [
        asked.one(),
        asked.groups("sales by status", by_status, "STATUS#", samples.groups["status"].kept),
        *asked.by_reference(spec),
        asked.filtered(every),
        asked.next_numbers(by_date),
        *asked.children(),
        asked.filtered(_delta(samples.slice.values())),
    ]


@dataclass(frozen=True)
class Filter:
    """A Scan's filter, and the same condition on an item of the file."""

    name: str
    expression: str
    values: Mapping[str, Any]
    matches: Callable[[Item], bool]
    names: Mapping[str, str] | None = None

    def narrowed(
        self,
        how: str,
        condition: str,
        values: Mapping[str, Any],
        matches: Callable[[Item], bool],
        names: Mapping[str, str] | None = None,
    ) -> Filter:
        """This filter with one more condition."""
        return Filter(
            f"{self.name} {how}",
            f"{self.expression} AND {condition}",
            {**self.values, **values},
            lambda item: self.matches(item) and matches(item),
            names,
        )

    def by_value(self, attribute: str, value: str) -> Filter:
        """This filter with an attribute's value on top."""
        return self.narrowed(
            f"by {attribute}",
            "#attribute = :value",
            {":value": {"S": value}},
            lambda item: text_of(item, attribute) == value,
            {"#attribute": attribute},
        )

    def request(self, table: str) -> dict[str, Any]:
        """The Scan of a table's first items."""
        names = {"ExpressionAttributeNames": self.names} if self.names else {}
        return {
            "TableName": table,
            "Limit": SLICE_ITEMS,
            "FilterExpression": self.expression,
            "ExpressionAttributeValues": self.values,
            **names,
        }


def _is_metadata(item: Item) -> bool:
    return text_of(item, "SK") == "METADATA"


def _is_listed(item: Item) -> bool:
    return _is_metadata(item) and "deletedAt" not in item


def _delta(items: Iterable[Item]) -> Filter:
    """What has changed since the middle one of the given items changed."""
    times = sorted(text_of(item, "updatedAt") for item in items)
    since = times[len(times) // 2] if times else ""
    return Filter(
        "delta sync",
        "updatedAt > :since",
        {":since": {"S": since}},
        lambda item: text_of(item, "updatedAt") > since,
    )


@dataclass(frozen=True)
class _Asked:
    """The requests to one table, and what the samples say of the answers."""

    reader: TableReader
    table: str
    shape: Shape
    samples: Samples
    moments: Moments = _NO_MOMENTS
    every: Callable[[], Iterable[FileRecord]] = tuple

    def records(self) -> Iterator[tuple[str, Sample]]:
        """The records that are asked for."""
        if self.samples.size.most is not None:
            yield from self.samples.records.kept.items()
            return
        left = self.samples.left
        for record in self.every():
            pk = None if record.refused or record.is_kept else pk_of(record)
            if pk is not None and pk not in left and len(left) < MOST_LEFT:
                yield pk, sample_of(record)

    def _of_records(self, name: str, request: str, checks: Iterator[Check]) -> Pattern:
        """A pattern of one request for each record."""
        samples = self.samples
        is_every = samples.size.most is None
        count = samples.total if is_every else len(samples.records.kept)
        what = (self.shape.singular, self.shape.name)
        return Pattern(name, request, checks, count, samples.total, what)

    def one(self) -> Pattern:
        checks = (partial(self._one, pk, each) for pk, each in self.records())
        return self._of_records(f"one {self.shape.singular}", "GetItem", checks)

    def _one(self, pk: str, sample: Sample) -> list[str]:
        key = {"PK": {"S": pk}, "SK": {"S": "METADATA"}}
        answer = self.reader.ask("GetItem", {"TableName": self.table, "Key": key})
        if "Item" not in answer:
            return [f"{pk} is not there"]
        names = differing_attributes(sample.item, self.moments.as_ours(answer["Item"]))
        return [f"{pk} differs in {', '.join(names)}"] if names else []

    def filtered(self, wanted: Filter) -> Pattern:
        request = f"Scan, {wanted.expression}"
        check = partial(self._filtered, wanted)
        return Pattern(wanted.name, request, [check], 1, sampled=len(self.samples.slice))

    def _filtered(self, wanted: Filter) -> list[str]:
        covered = read_slice(self.reader, self.table)
        listed = set(_keys(self.reader.ask("Scan", wanted.request(self.table))))
        ours = {key: self.samples.slice[key] for key in covered if key in self.samples.slice}
        problems = []
        for (pk, sk), item in ours.items():
            matches = {wanted.matches(each) for each in self._as_in_table(item)}
            if ((pk, sk) in listed) not in matches:
                how = "is left out" if True in matches else "should not be listed"
                problems.append(f"{pk.decode()} / {sk.decode()} {how}")
        return problems

    def _as_in_table(self, item: Item) -> Iterator[Item]:
        """What the table may have for an item: also with another migration's time."""
        yield item
        for theirs, ours in self.moments.pairs:
            if (other := with_time(item, ours, theirs)) is not None:
                yield other

    def by_reference(self, spec: TableSpec) -> Iterator[Pattern]:
        """The records that name one, as the sales of a buyer."""
        for reference in self.shape.references:
            named, index = shape_of(reference.entity), spec.index_of(reference.index_key)
            name = f"{self.shape.name} of a {named.singular}"
            groups = self.samples.named[reference.attribute]
            what = (named.singular, named.name)
            yield self._grouped(
                name, index, named.prefix, groups, groups.count, groups.population, what
            )

    def groups(
        self, name: str, index: Index, prefix: str, groups: Mapping[str, Earliest]
    ) -> Pattern:
        return self._grouped(name, index, prefix, groups.items(), len(groups), None, None)

    def _grouped(
        self,
        name: str,
        index: Index,
        prefix: str,
        groups: Iterable[tuple[str, Earliest]],
        count: int | None,
        of: int | None,
        what: tuple[str, str] | None,
    ) -> Pattern:
        if len(self.samples.left) >= MOST_LEFT:
            groups, count = (), 0  # nobody knows whose a sale is
        checks = (partial(self._group, index, prefix + key, group) for key, group in groups)
        request = f"Query {index.name}, {index.partition_key} = {prefix}…"
        return Pattern(name, request, checks, count, of, what)

    def _group(self, index: Index, partition: str, group: Earliest) -> list[str]:
        found: list[tuple[str, str]] = []
        asked = {
            **self._partition(index, partition, GROUP + 1),
            "ProjectionExpression": f"PK, SK, {index.sort_key}, legacyId",
        }
        for answer in self.reader.pages("Query", asked):
            for item in self._ours(answer):
                found.append((text_of(item, index.sort_key), _name(item)))
            if len(found) > GROUP:
                break
        problems = []
        first = [sale for sale in group.first if sale[1] not in self.samples.left]
        changed = len(group.first) - len(first)
        dates = [date for date, _ in found]
        if dates != sorted(dates):
            problems.append(f"{partition} is not in the order of {index.sort_key}")
        expected, got = set(first), set(found)
        if not group.is_whole:
            if not first:
                return problems
            # Sales of the last date may be beyond the samples, or beyond what was read.
            last = first[-1][0]
            expected = {sale for sale in expected if sale[0] < last}
            got = {sale for sale in got if sale[0] < last}
            if len(found) + changed < GROUP:
                problems.append(f"{partition} has {len(found)} of {self._counted(group.total)}")
        for what, sales in (("lacks", expected - got), ("also has", got - expected)):
            if sales:
                problems.append(
                    f"{partition} {what} {self._counted(len(sales))}, first {min(sales)[1]}"
                )
        return problems

    def _counted(self, records: int) -> str:
        return counted(records, self.shape.singular, self.shape.name)

    def _ours(self, answer: Mapping[str, Any]) -> list[Item]:
        """The items of an answer that the load has put there."""
        left = self.samples.left
        return [item for item in _migrated(answer) if _name(item) not in left]

    def _partition(self, index: Index, partition: str, limit: int) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "IndexName": index.name,
            "KeyConditionExpression": f"{index.partition_key} = :partition",
            "ExpressionAttributeValues": {":partition": {"S": partition}},
            "Limit": limit,
        }

    def next_numbers(self, index: Index) -> Pattern:
        years = self.samples.years
        checks: list[Check] = [partial(self._number, index, *year) for year in years.items()]
        request = f"Query {index.name}, {index.partition_key} = SALE, a year, descending, limit 1"
        return Pattern(NEXT_NUMBER, request, checks, len(checks), 0, ("year", "years"))

    def _number(self, index: Index, year: str, highest: Highest) -> list[str]:
        """Whether the number that the API would give next is higher than all of a year.

        Sales that the application has numbered since are later, and have higher numbers.
        """
        first = self.reader.ask("Query", self._of_year(index, f"{year}-01-01", year, 1))
        sale: Item | None = next(iter(first.get("Items", ())), None)
        number = _decimal(sale.get("saleNumber", {}).get("N")) if sale else None
        reached: Sequence[Numbered] = ()
        for each in highest.sales:
            if number is not None and number >= each.number:
                reached = (each,)
                break
            if each.pk not in self.samples.left or self._is_taken(each, year):
                return [_too_low(year, sale, number, each)]
        if sale is None or "legacyId" not in sale or _name(sale) in self.samples.left:
            return []
        if not _counts_in(sale, year):
            return [f"{year}: {_name(sale)} is found, which is not numbered in that year"]
        return self._beside(index, year, sale, reached)

    def _is_taken(self, numbered: Numbered, year: str) -> bool:
        """Whether a sale that is not as it was sent has still got its number of a year."""
        key = {"PK": {"S": numbered.pk}, "SK": {"S": "METADATA"}}
        sale = self.reader.ask("GetItem", {"TableName": self.table, "Key": key}).get("Item", {})
        number = _decimal(sale.get("saleNumber", {}).get("N"))
        return number == numbered.number and "deletedAt" not in sale and _counts_in(sale, year)

    def _beside(
        self, index: Index, year: str, found: Item, reached: Sequence[Numbered]
    ) -> list[str]:
        """What is wrong with the sale that answers, or with others of its day, which the API might
        find in its place."""
        day, number = text_of(found, index.sort_key), _decimal(found.get("saleNumber", {}).get("N"))
        for last in reached:
            is_last = _name(found) == last.pk and text_of(found, "updatedAt") == last.updated_at
            if is_last and number != last.number:
                return [f"{year}: the number of {_name(found)} is not {last.number}"]
            for answer in self.reader.pages("Query", self._of_year(index, day, year, GROUP)):
                for item in self._ours(answer):
                    other = _decimal(item.get("saleNumber", {}).get("N"))
                    if other is None or other < last.number:
                        return [
                            f"{year}: {_name(item)} is of {day} as well: the API may find it in "
                            f"the place of number {last.number}"
                        ]
        return []

    def _of_year(self, index: Index, first: str, year: str, limit: int) -> dict[str, Any]:
        """The request for the sales from a day to the end of its year, the latest first."""
        return {
            **self._partition(index, "SALE", limit),
            "KeyConditionExpression": f"{index.partition_key} = :partition AND "
            f"{index.sort_key} BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":partition": {"S": "SALE"},
                ":first": {"S": first},
                ":last": {"S": f"{year}-12-31"},
            },
            "ScanIndexForward": False,
        }

    def children(self) -> Iterator[Pattern]:
        """The lines of a sale, or what else belongs to a record."""
        children = self.shape.children
        if children is None:
            return
        checks = (
            partial(self._children, children, pk, each) for pk, each in self.records() if each.whole
        )
        request = f'Query PK, begins_with(SK, "{children.prefix}"), sorted by lineNumber'
        yield self._of_records(f"{children.name} of a {self.shape.singular}", request, checks)

    def _children(self, children: Children, pk: str, sample: Sample) -> list[str]:
        request = {
            "TableName": self.table,
            "KeyConditionExpression": "PK = :sale AND begins_with(SK, :line)",
            "ExpressionAttributeValues": {":sale": {"S": pk}, ":line": {"S": children.prefix}},
        }
        answers = self.reader.pages("Query", request)
        found = (item for answer in answers for item in _migrated(answer))
        if _numbered(found) != _numbered(sample.lines):
            due = f"the {len(sample.rest)} due"
            return [f"{pk} has other {children.name}, or in another order, than {due}"]
        return []


# What the Sale Module asks of its entities besides.
_FURTHER: Mapping[str, Callable[[_Asked, TableSpec], list[Pattern]]] = {
    "buyers": _party_patterns,
    "producers": _party_patterns,
    "sales": _sale_patterns,
}


def _migrated(answer: Mapping[str, Any]) -> list[Item]:
    return [item for item in answer.get("Items", ()) if "legacyId" in item]


def _name(item: Item) -> str:
    """The PK of a record; with the SK for an item that is none."""
    sk = text_of(item, "SK")
    return text_of(item, "PK") + ("" if sk == "METADATA" else f" / {sk}")


def _too_low(year: str, sale: Item | None, number: Decimal | None, highest: Numbered) -> str:
    if sale is None:
        return f"{year}: no sale is found"
    given = "no number" if number is None else f"{number + 1}"
    return (
        f"{year}: the API would give {given} next, after {_name(sale)}, and number "
        f"{highest.number} is taken by {highest.pk}"
    )


def _counts_in(sale: Item, year: str) -> bool:
    """Whether a sale is numbered in a year, by what it says itself."""
    own_year = _decimal(sale.get("year", {"N": year}).get("N"))
    is_proforma = text_of(sale, "docType") == "proforma"
    return own_year == int(year) and not is_proforma and text_of(sale, "status") != "cancelled"


def _numbered(lines: Iterable[Item]) -> list[tuple[Decimal, str]]:
    """The lines as the API sorts them."""
    return sorted(
        (_decimal(line.get("lineNumber", {}).get("N")) or Decimal(-1), text_of(line, "SK"))
        for line in lines
    )


def _decimal(text: Any) -> Decimal | None:
    """A number's value; None for what is none."""
    try:
        return Decimal(text)
    except (InvalidOperation, TypeError):
        return None


def _keys(answer: Mapping[str, Any]) -> list[Key]:
    return [
        (orjson.dumps(text_of(item, "PK")), orjson.dumps(text_of(item, "SK")))
        for item in answer.get("Items", ())
    ]
