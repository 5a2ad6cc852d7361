"""What a target table must look like: its keys and its global secondary indexes."""

from __future__ import annotations

from dataclasses import dataclass

PARTITION_KEY = "PK"
SORT_KEY = "SK"


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
