"""Whether a party is in use: whether a sale in the table names it.

The application finds the sales of a party through an index of the sales table, and so does this.
An index lags behind its table ("Global secondary indexes", DynamoDB developer guide: eventually
consistent). So a sale that it lists is looked for in the table itself, where one that has just been
deleted is no more; and a sale that was made a moment ago may be missing in it, which is why whoever
deletes a party asks once more, `SETTLED_AFTER` seconds later.
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
from utils.dynamodb.retrying import ask_all
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.interrupt import StopFlag

SETTLED_AFTER = 2.0  # seconds; an index is usually up to date within a fraction of one
# Which index of the sales table lists the sales of a party: see load/load_sales.py.
_INDEX_KEYS = {"buyers": "GSI2PK", "producers": "GSI3PK"}
_NAMES = (("BUYER#", "buyerId", "GSI2PK"), ("PRODUCER#", "producerId", "GSI3PK"))


def parties_of(header: Mapping[str, Any]) -> set[str]:
    """The partition keys of the parties that a sale names."""
    named = set()
    for prefix, attribute, index_key in _NAMES:
        if party := header.get(attribute, {}).get("S"):
            named.add(prefix + party)
        if party := header.get(index_key, {}).get("S"):
            named.add(party)
    return named


class References:
    """The sales that name the parties of one entity; safe to share between threads.

    `named` are parties that are known to be in use. A sale of which `is_doomed` says so is about
    to be deleted, and does not count.
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
    ) -> None:
        sales = TABLES["sales"]
        self._index = next(i for i in sales.indexes if i.partition_key == _INDEX_KEYS[entity])
        self._table = config.target.table(sales.entity)
        self._wire = wire
        self._retry = RetryPolicy.of(config.migration, stop.sleep)
        self._reader = TableReader(wire, self._retry)
        self._look = ConditionalWriter(config, sales, stop, wire)
        self._named = named
        self._is_doomed = is_doomed

    def used_by(self, records: Sequence[Record]) -> list[str]:
        """For each of these parties the partition key of a sale that names it, "" when there is
        none. The index is asked for all of them together."""
        asked = [record.pk for record in records if record.pk not in self._named]
        requests = list(map(self._request, asked))
        parses = [reader("Query", each) for each in requests]
        pages = ask_all(self._wire, self._retry, "Query", requests, parses)
        found = {
            party: self._user(party, request) if answer["Items"] or _goes_on(answer) else ""
            for party, request, answer in zip(asked, requests, pages, strict=True)
        }
        return [self._named.get(record.pk) or found[record.pk] for record in records]

    def _user(self, party: str, request: Mapping[str, Any]) -> str:
        """A sale in the table that is listed under a party and names it."""
        for keys in self._listed(request):
            found = self._look.find(keys)
            for (pk, _), item in sorted(found.items()):
                if party in parties_of(item):
                    return pk
        return ""

    def _request(self, party: str) -> dict[str, Any]:
        index = self._index
        return {
            "TableName": self._table,
            "IndexName": index.name,
            "KeyConditionExpression": f"{index.partition_key} = :k",
            "ProjectionExpression": ", ".join(self._key_names),
            "ExpressionAttributeValues": {":k": {"S": party}},
        }

    @property
    def _key_names(self) -> tuple[str, ...]:
        return (PARTITION_KEY, SORT_KEY, self._index.partition_key, self._index.sort_key)

    def _listed(self, request: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """The keys of the sales that the index lists under a party."""
        for page in self._reader.pages("Query", request, keys=self._key_names, to_the_end=True):
            keys = [key for key in page["Items"] if not self._is_doomed(key[PARTITION_KEY]["S"])]
            for start in range(0, len(keys), READ_AT_ONCE):
                yield keys[start : start + READ_AT_ONCE]


def _goes_on(answer: Mapping[str, Any]) -> bool:
    return "LastEvaluatedKey" in answer
