"""What answered: the tables that a run has reached, as opposed to those that it was told to find.

The same words of a configuration reach other tables with the credentials of another account, by
another AWS_ENDPOINT_URL, or after a table was dropped and made again. So a run is bound to what
DynamoDB says of its tables, and before the first request with credentials that this process has
not used yet, every table that it is bound to is looked at again (utils/dynamodb/client.py).

Tables that a command has only looked at (a backup's, say) count as well: other credentials must
reach the same ones.

Which tables a process is bound to is a matter of the process, like what is to be masked: whoever
opens a wire to the target is bound without knowing it. Other processes that share the work are
told (`bind_process`).
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from utils.config import TargetConfig
from utils.error_handler import TargetError


@dataclass(frozen=True)
class Reached:
    """A table as it was reached: the URL that was asked, and what DynamoDB said of the table.

    `id` is AWS's TableId, which no other table has or will have; "" where an emulator gives none.
    `created` is the time of its making, in seconds since 1970.
    """

    endpoint: str
    arn: str
    id: str
    created: float

    @classmethod
    def of(cls, endpoint: str, described: Mapping[str, Any]) -> Reached:
        """What a description of a table (DescribeTable's `Table`) says."""
        return cls(
            endpoint,
            described["TableArn"],
            described.get("TableId", ""),
            float(described["CreationDateTime"]),
        )

    @classmethod
    def of_json(cls, saved: Mapping[str, Any]) -> Reached:
        return cls(**saved)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def is_same(self, other: Reached) -> bool:
        """Whether it is one and the same table. Through which door an id is reached does not
        matter (an endpoint of a VPC, a proxy); without an id it has to be the same one."""
        if self.id and other.id:
            return (self.id, self.arn) == (other.id, other.arn)
        return (self.endpoint, self.arn, self.created) == (
            other.endpoint,
            other.arn,
            other.created,
        )

    def is_same_place(self, other: Reached) -> bool:
        """Whether, if they are two tables, one was dropped and the other made in its place."""
        return (self.endpoint, self.arn) == (other.endpoint, other.arn)

    def __str__(self) -> str:
        named = f"id {self.id}" if self.id else f"made at {self.created:.3f}"
        return f"{self.arn} ({named}) at {self.endpoint}"


class AnotherTable(TargetError):
    """What answers is not the table that a run is bound to."""


Tables = Mapping[str, Reached]

_lock = threading.Lock()
_bound: dict[TargetConfig, dict[str, Reached]] = {}
_seen: dict[TargetConfig, dict[str, tuple[Reached, set[Hashable]]]] = {}
_proven: dict[TargetConfig, set[Hashable]] = {}


def bind_process(target: TargetConfig, tables: Tables) -> None:
    """From now on every wire of this process to `target` is bound to these tables; credentials
    with which they have been seen before have to be looked at again."""
    with _lock:
        if _bound.get(target) != dict(tables):
            _bound[target] = dict(tables)
            _proven[target] = set()


def note(target: TargetConfig, table: str, now: Reached, keys: Hashable) -> None:
    """A table has been looked at with these credentials."""
    with _lock:
        seen = _seen.setdefault(target, {})
        before = seen.get(table)
        if before is None or not before[0].is_same(now):
            before = seen[table] = now, set()
        if keys not in before[1]:
            before[1].add(keys)
            _proven.get(target, set()).intersection_update({keys})


def bound_to(target: TargetConfig) -> Tables:
    """The tables that this process is bound to, and those that it has seen, by name."""
    seen = {table: reached for table, (reached, _) in _seen.get(target, {}).items()}
    return {**seen, **_bound.get(target, {})}


def to_prove(target: TargetConfig, keys: Hashable) -> Tables:
    """Of which tables it is to be shown that these credentials reach them."""
    seen = _seen.get(target, {}).items()
    others = {table: reached for table, (reached, by) in seen if keys not in by}
    return {**others, **_bound.get(target, {})}


def is_proven(target: TargetConfig, keys: Hashable) -> bool:
    """Whether these credentials are known to reach the tables that the process is bound to."""
    return keys in _proven.get(target, ()) or not to_prove(target, keys)


def forget_tables() -> None:
    """Be bound to nothing: the next run of this process begins."""
    with _lock:
        for each in (_bound, _seen, _proven):
            each.clear()


def has_proven(target: TargetConfig, keys: Hashable) -> None:
    """These credentials reach the tables that the process is bound to."""
    with _lock:
        _proven.setdefault(target, set()).add(keys)


def require_same(
    table: str, was: Reached, now: Reached | None, *, endpoint: str, remedy: str
) -> None:
    """Raise AnotherTable when another table answers at `endpoint` than the one that was reached
    before; None: there is none."""
    if now is not None and now.is_same(was):
        return
    found = f"now it is {now}" if now else f"now there is none at {endpoint}"
    raise AnotherTable(
        f"table {table} is not the table that this run has reached before: that was {was}, and "
        f"{found}. What the run has seen and written is not there",
        remedy=remedy,
    )
