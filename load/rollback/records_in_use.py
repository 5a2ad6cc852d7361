"""Whether a record is in use: whether another one in the tables names it, as a sale its parties.

The application finds the records that name one through an index of their table, and so does this.
An index lags behind its table ("Global secondary indexes", DynamoDB developer guide: eventually
consistent). So a record that it lists is looked for in the table itself, where one that has just
been deleted is no more; and one that was made a moment ago may be missing in it, which is why
whoever deletes a record asks once more, `SETTLED_AFTER` seconds later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from load.entities import TABLES
from load.rollback.undo_record import Record
from load.writing.conditional_writer import READ_AT_ONCE, ConditionalWriter, Reach
from utils.dynamodb.answer_shapes import reader
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Item
from utils.dynamodb.retrying import ask_all
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import Reference, Shape, referrers_of, shape_at, shape_of
from utils.interrupt import StopFlag

SETTLED_AFTER = 2.0  # seconds; an index is usually up to date within a fraction of one


def named_by(header: Mapping[str, Any]) -> set[str]:
    """The partition keys of the records that a record names, by the item that opens it."""
    shape = shape_at(header.get(PARTITION_KEY, {}).get("S", ""))
    return _named_by(shape, header) if shape else set()


def _named_by(shape: Shape, header: Mapping[str, Any]) -> set[str]:
    named = set()
    for reference in shape.references:
        if identifier := header.get(reference.attribute, {}).get("S"):
            named.add(shape_of(reference.entity).prefix + identifier)
        if key := header.get(reference.index_key, {}).get("S"):
            named.add(key)
    return named


class Users:
    """The records that name those of one entity; safe to share between threads.

    `named` are records that are known to be in use, each with one that names it. One of which
    `is_doomed` says so is about to be deleted, and does not count. Only the entities `among` are
    asked (None: all that name such records), and of their items those that `counts` lets pass.
    """

    def __init__(
        self,
        wire: DynamoDB,
        config: Reach,
        entity: str,
        stop: StopFlag,
        named: Mapping[str, str],
        *,
        is_doomed: Callable[[str], bool] = lambda _pk: False,
        among: Sequence[str] | None = None,
        counts: Callable[[Item], bool] = lambda _item: True,
    ) -> None:
        self._named = named
        self._by_index = [
            _UsersByIndex(wire, config, shape, reference, stop, is_doomed, counts)
            for shape, reference in referrers_of(entity)
            if among is None or shape.name in among
        ]

    def used_by(self, records: Sequence[Record]) -> list[str]:
        """For each of these records the partition key of one that names it, "" when there is none.
        An index is asked for all of them together."""
        found: dict[str, str] = {}
        for index in self._by_index:
            known = self._named.keys() | found.keys()
            found |= index.used_by([record.pk for record in records if record.pk not in known])
        return [self._named.get(record.pk) or found.get(record.pk, "") for record in records]


class _UsersByIndex:
    """Those of one entity that an index lists."""

    def __init__(
        self,
        wire: DynamoDB,
        config: Reach,
        shape: Shape,
        reference: Reference,
        stop: StopFlag,
        is_doomed: Callable[[str], bool],
        counts: Callable[[Item], bool],
    ) -> None:
        spec = TABLES[shape.name]
        self._shape = shape
        self._index = spec.index_of(reference.index_key)
        self._table = config.target.table(shape.name)
        self._wire = wire
        self._retry = RetryPolicy.of(config.migration, stop.sleep)
        self._reader = TableReader(wire, self._retry)
        self._look = ConditionalWriter(config, spec, stop, wire)
        self._is_doomed = is_doomed
        self._counts = counts

    def used_by(self, asked: Sequence[str]) -> dict[str, str]:
        """Of these records those that one names, with that one, by their partition keys."""
        requests = list(map(self._request, asked))
        parses = [reader("Query", each) for each in requests]
        pages = ask_all(self._wire, self._retry, "Query", requests, parses)
        found = {
            pk: self._user(pk, request)
            for pk, request, answer in zip(asked, requests, pages, strict=True)
            if answer["Items"] or _goes_on(answer)
        }
        return {pk: user for pk, user in found.items() if user}

    def _user(self, pk: str, request: Mapping[str, Any]) -> str:
        """A record in the table that is listed under another one's key and names it."""
        for keys in self._listed(request):
            found = self._look.find(keys)
            for (user, _), item in sorted(found.items()):
                if pk in _named_by(self._shape, item) and self._counts(item):
                    return user
        return ""

    def _request(self, pk: str) -> dict[str, Any]:
        index = self._index
        return {
            "TableName": self._table,
            "IndexName": index.name,
            "KeyConditionExpression": f"{index.partition_key} = :k",
            "ProjectionExpression": ", ".join(self._key_names),
            "ExpressionAttributeValues": {":k": {"S": pk}},
        }

    @property
    def _key_names(self) -> tuple[str, ...]:
        return (PARTITION_KEY, SORT_KEY, self._index.partition_key, self._index.sort_key)

    def _listed(self, request: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """The keys of the items that the index lists under a partition key."""
        for page in self._reader.pages("Query", request, keys=self._key_names, to_the_end=True):
            keys = [key for key in page["Items"] if not self._is_doomed(key[PARTITION_KEY]["S"])]
            for start in range(0, len(keys), READ_AT_ONCE):
                yield keys[start : start + READ_AT_ONCE]


def _goes_on(answer: Mapping[str, Any]) -> bool:
    return "LastEvaluatedKey" in answer
