"""Whether the records are there that restored ones name, as a sale its parties.

A restore is of one table. Records that are put back may name others that are in no table any more:
taken away by a rollback, or never there. They are told, because the application cannot show such a
record; the tables of the others have backups of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

from load.entities import TABLES
from load.rollback.records_in_use import named_by
from load.rollback.undo_record import HEADER
from load.target.tables import describe
from load.writing.conditional_writer import READ_AT_ONCE, ConditionalWriter
from utils.config import TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.entities import ENTITIES, Shape, shape_of
from utils.run.session import AtWork


def shape_in(target: TargetConfig, table: str) -> Shape | None:
    """The shape of the entity whose configured table this is; None for another table."""
    return next((each for each in ENTITIES if target.table(each.name) == table), None)


class NamedRecords:
    """The records that those name which are put back into a table; none where it is not the
    configured table of an entity that names others."""

    def __init__(self, work: AtWork, table: str) -> None:
        self._work = work
        shape = shape_in(work.config.target, table)
        self._entities = shape.needs if shape else ()
        self._named: dict[str, str] = {}

    def watch(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines `{"Item":{…}}` as they come, with the records that they name taken note of."""
        for line in lines:
            if self._entities and HEADER.encode() in line:
                item = orjson.loads(line)["Item"]
                if item[SORT_KEY] == {"S": HEADER} and "deletedAt" not in item:
                    for pk in named_by(item):
                        self._named.setdefault(pk, item[PARTITION_KEY]["S"])
            yield line

    def missing(self) -> dict[str, str]:
        """Those that are in no table, each with one that names it. Raises TargetError."""
        found: dict[str, str] = {}
        for entity in self._entities:
            prefix = shape_of(entity).prefix
            for pk in self._absent(entity, sorted(k for k in self._named if k.startswith(prefix))):
                found[pk] = self._named[pk]
        return found

    def _absent(self, entity: str, named: list[str]) -> Iterator[str]:
        """Those of the named records that are not in the table of their entity."""
        target = self._work.config.target
        if not named:
            return
        if describe(target, target.table(entity)) is None:
            yield from named
            return
        wire = DynamoDB(target)
        reader = ConditionalWriter(self._work.config, TABLES[entity], self._work.stop, wire)
        left = iter(named)
        while some := list(islice(left, READ_AT_ONCE)):
            keys = [{PARTITION_KEY: {"S": pk}, SORT_KEY: {"S": HEADER}} for pk in some]
            there = reader.find(keys)
            yield from (pk for pk in some if (pk, HEADER) not in there)
