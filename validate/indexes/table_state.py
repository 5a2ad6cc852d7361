"""A table and its indexes as DynamoDB describes them, judged against what the API needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IndexState:
    """An index as DynamoDB describes it, judged against what the API needs."""

    exists: bool
    active: bool
    key_schema: bool
    projects_all: bool

    @property
    def passed(self) -> bool:
        return self.is_readable and self.projects_all

    @property
    def is_readable(self) -> bool:
        """Whether it can be read and compared with its table."""
        return self.exists and self.active and self.key_schema

    def as_json(self) -> dict[str, bool]:
        return {
            "passed": self.passed,
            "exists": self.exists,
            "active": self.active,
            "keySchema": self.key_schema,
            "projectsAll": self.projects_all,
        }


@dataclass(frozen=True)
class TableState:
    """A table as DynamoDB describes it: is its key right, are its indexes, and what is not.

    `items` is how many it had when DynamoDB last counted, which it does every six hours.
    """

    table: str
    key_schema: bool
    indexes: Mapping[str, IndexState]
    problems: tuple[str, ...]
    items: int = 0

    @property
    def passed(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "passed": self.passed,
            "keySchema": self.key_schema,
            "indexes": {name: state.as_json() for name, state in self.indexes.items()},
            "problems": list(self.problems),
        }
