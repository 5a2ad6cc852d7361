"""Records as they come from S9: each with its children, and with what it copies, as a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from extract.selection import ExtractPlan, JoinedCopy
from extract.source import Row, Source
from utils.logger import get_logger

FLUSH_RECORDS, FLUSH_BYTES = 100, 1 << 20
_NAMED = 20  # keys that a warning names

Records = Iterator[tuple[bytes, int, bytes]]


@contextmanager
def records_of(source: Source, planned: ExtractPlan, after: int | None = None) -> Iterator[Records]:
    """Stream the planned records whose key is greater than `after`, as (key, items, line)."""
    with streamed(source, planned, looked_at(source, planned), after) as records:
        yield records


@contextmanager
def streamed(
    source: Source, planned: ExtractPlan, doubled: Collection[str], after: int | None = None
) -> Iterator[Records]:
    """The same; `doubled` are the copies of which it is known that several rows have one key."""
    copies = tuple(replace(copy, doubled=copy.name in doubled) for copy in planned.records.copies)
    selected = replace(planned.records, copies=copies)
    with source.rows(selected, planned.children, after) as (records, children):
        if children is None:
            yield ((key, 1, row + b"\n") for key, row in records)
        else:
            yield merge(records, children, planned.children_name)


def looked_at(source: Source, planned: ExtractPlan) -> frozenset[str]:
    """The copies with what is not to be: several rows of one key, of which none is the right one.
    The records that refer to such a key are refused by the transform."""
    found = set()
    for copy in planned.records.copies:
        if doubled := doubled_keys(source, copy.query, source.quote(copy.key.name)):
            _tell_doubled(planned.entity, copy, doubled)
            found.add(copy.name)
    return frozenset(found)


def doubled_keys(source: Source, query: str, key: str) -> str:
    """The keys that several rows of a query have, the first of them; "" when there are none."""
    found = source.tally(
        f"SELECT {key}, count(*) FROM ({query}) AS q WHERE {key} IS NOT NULL "
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT {_NAMED + 1}"
    )
    return ", ".join([str(row[0]) for row in found[:_NAMED]] + ["…"] * (len(found) > _NAMED))


def _tell_doubled(entity: str, copy: JoinedCopy, keys: str) -> None:
    get_logger().warning(
        "Several rows have the same key among what %s can copy as their %s: %s. It cannot be "
        "known which one is meant: the %s that name them are refused. Give each a key of its own, "
        "or say in extraction.%ss.query which one counts",
        entity,
        copy.name,
        keys,
        entity,
        copy.name,
    )


def merge(parents: Iterable[Row], children: Iterable[Row], name: str) -> Records:
    """Put each child into its parent under `name`, by splicing JSON texts.

    Both come as (key, JSON object) pairs in the order of the parents' keys; children of others are
    left out. Yields (key, items, line), where items counts the parent and its children.
    """
    opening = b',"%b":[' % name.encode()
    rest = iter(children)
    child_key, child = next(rest, (None, b""))
    for key, parent in parents:
        own: list[bytes] = []
        if child_key != key and child_key is not None:
            number = int(key)
            while child_key is not None and int(child_key) < number:
                child_key, child = next(rest, (None, b""))
        while child_key == key:
            own.append(child)
            child_key, child = next(rest, (None, b""))
        yield key, 1 + len(own), b"".join((parent[:-1], opening, b",".join(own), b"]}\n"))
    deque(rest, maxlen=0)  # read to its end: only then is its connection free


@dataclass(frozen=True)
class Pack:
    """Consecutive records, so that the writer is called once for many; `key` is the last's."""

    key: bytes
    records: int
    items: int
    data: bytes


def packed(records: Records) -> Iterator[Pack]:
    """The records, so many together that it is worth it to write them; a large one is alone."""
    lines: list[bytes] = []
    items = size = 0
    last = b""
    for key, count, line in records:
        size += len(line)
        if lines and (size > FLUSH_BYTES or len(lines) == FLUSH_RECORDS):
            yield Pack(last, len(lines), items, b"".join(lines))
            lines, items, size = [], 0, len(line)
        lines.append(line)
        items += count
        last = key
    if lines:
        yield Pack(last, len(lines), items, b"".join(lines))
