"""What a target table must look like: its keys and its global secondary indexes; and the one item
in it that is no record of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utils.entities import Undeclared

PARTITION_KEY = "PK"
SORT_KEY = "SK"
# The mark of whoever is writing to a table (load/target/writer_mark.py).
MARK_KEY = {PARTITION_KEY: {"S": "MIGRATION#LOCK"}, SORT_KEY: {"S": "LOCK"}}


def is_mark(item: Mapping[str, Any]) -> bool:
    """Whether an item (DynamoDB JSON) is the mark of whoever is writing to its table."""
    return item.get(PARTITION_KEY) == MARK_KEY[PARTITION_KEY]


@dataclass(frozen=True)
class Index:
    """A global secondary index (projection ALL) and its two String keys."""

    name: str
    partition_key: str
    sort_key: str


@dataclass(frozen=True)
class TableSpec:
    """The table of one entity: String keys PK and SK, and its indexes."""

    entity: str
    indexes: tuple[Index, ...]

    @property
    def key_attributes(self) -> tuple[str, ...]:
        """Every attribute that is a key of the table or of an index, once."""
        names = [PARTITION_KEY, SORT_KEY]
        for index in self.indexes:
            names += [index.partition_key, index.sort_key]
        return tuple(dict.fromkeys(names))

    def index_of(self, partition_key: str) -> Index:
        """The index with this partition key. Raises Undeclared."""
        for index in self.indexes:
            if index.partition_key == partition_key:
                return index
        raise Undeclared(
            f"the table of {self.entity} has no index with the partition key {partition_key}, "
            "which utils/entities.py names",
            remedy="declare it in TABLE of the module of that entity in load/",
        )
