"""Whether the parties are there that restored sales name.

A restore is of one table. Sales that are put back may name parties that are in no table any more:
taken away by a rollback, or never there. They are told, because the application cannot show such a
sale; the tables of the parties have backups of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

from load.entities import TABLES
from load.rollback.parties_in_use import parties_of
from load.rollback.undo_record import HEADER
from load.target.tables import describe
from load.writing.conditional_writer import READ_AT_ONCE, ConditionalWriter
from utils.config import PARTY_ENTITIES
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, prefix_of
from utils.run.session import AtWork


class NamedParties:
    """The parties that sales name which are put back into a table; none where it is not the
    configured table of sales."""

    def __init__(self, work: AtWork, table: str) -> None:
        self._work = work
        self._is_of_sales = work.config.target.table("sales") == table
        self._named: dict[str, str] = {}

    def watch(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines `{"Item":{…}}` as they come, with the parties that they name taken note of."""
        for line in lines:
            if self._is_of_sales and HEADER.encode() in line:
                item = orjson.loads(line)["Item"]
                if item[SORT_KEY] == {"S": HEADER} and "deletedAt" not in item:
                    for party in parties_of(item):
                        self._named.setdefault(party, item[PARTITION_KEY]["S"])
            yield line

    def missing(self) -> dict[str, str]:
        """Those that are in no table, each with a sale that names it. Raises TargetError."""
        found: dict[str, str] = {}
        for entity in PARTY_ENTITIES:
            parties = sorted(party for party in self._named if party.startswith(prefix_of(entity)))
            for party in self._absent(entity, parties):
                found[party] = self._named[party]
        return found

    def _absent(self, entity: str, parties: list[str]) -> Iterator[str]:
        """Those of the parties that are not in the table of their entity."""
        target = self._work.config.target
        if not parties:
            return
        if describe(target, target.table(entity)) is None:
            yield from parties
            return
        wire = DynamoDB(target)
        reader = ConditionalWriter(self._work.config, TABLES[entity], self._work.stop, wire)
        left = iter(parties)
        while some := list(islice(left, READ_AT_ONCE)):
            keys = [{PARTITION_KEY: {"S": pk}, SORT_KEY: {"S": HEADER}} for pk in some]
            there = reader.find(keys)
            yield from (pk for pk in some if (pk, HEADER) not in there)
