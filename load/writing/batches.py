"""Transformed lines as they are sent: nothing is parsed, and a line says what it needs to say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import orjson

from utils.files.artifacts import starts_record

BATCH_BYTES = 15 << 20  # the limit of 16 MB, less the request's own text
_UNIT_BYTES = 1024
_INDEX_KEY = b'"GSI'
_KEYS_WITHIN = 200  # PK and SK of the tool's own items are shorter
_KEY = re.compile(rb'"PK":\{"S":"([^"]*)"\}')
_SORT_KEY = re.compile(rb'"SK":\{"S":"([^"\\]*)"\}')


def record_key(line: bytes) -> str:
    """The partition key of a transformed line: all items of a record have the same."""
    found = _KEY.search(line)
    return found[1].decode() if found else ""


def sort_key(line: bytes) -> str:
    """The sort key of a transformed line."""
    found = _SORT_KEY.search(line)
    key: str = found[1].decode() if found else orjson.loads(line)["Item"]["SK"]["S"]
    return key


def item_text(line: bytes) -> bytes:
    """The item of a transformed line, in JSON as the line has it."""
    return line.rstrip(b"\n")[8:-1]


def units_of(line: bytes, indexes: int) -> int:
    """About how many write units a line's item takes in a table with so many indexes.

    DynamoDB's size of an item is smaller than its JSON; whether an item is in the indexes shows
    in the keys with which it opens. What is really consumed is known from the answer.
    """
    kilobytes = -(-len(line) // _UNIT_BYTES)
    return kilobytes * (1 + indexes) if line.find(_INDEX_KEY, 0, _KEYS_WITHIN) >= 0 else kilobytes


def wholes(
    lines: Iterable[bytes], size: int, least: int, most: int, *, alone: int | None = None
) -> Iterator[list[bytes]]:
    """Group lines into whole records, `least` to `most` of them where a record is not longer: what
    is sent by one thread, first what belongs to the records, then what opens them.

    Within these limits a group ends where the fewest places are left empty in batches of `size`.
    Records of one line each need no order: `alone` of them are a group (None: `size`). Lines that
    come before the first record (of one that begins elsewhere) are cut anywhere.
    """
    alone = alone or size
    group: list[bytes] = []
    heads = 0
    best = waste = 0  # where the group is best cut, and how many places that leaves empty

    def end_at(place: int) -> list[bytes]:
        nonlocal group, heads, best
        done, group = group[:place], group[place:]
        heads, best = sum(map(starts_record, group)), 0
        return done

    for line in lines:
        opens = starts_record(line)
        count = len(group)
        if opens or not heads:  # here it may end
            empty = -heads % size + -(count - heads) % size
            if count >= least and (not best or empty <= waste):
                best, waste = count, empty
            if count == heads == alone or (best and count >= most):
                yield end_at(best if count != heads else count)
                if len(group) >= most:
                    yield end_at(len(group))
        group.append(line)
        heads += opens
    if group:
        yield group


def batches(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Group lines into batches of at most `size` items and what one request may hold."""
    batch: list[bytes] = []
    weight = 0
    for line in lines:
        if len(batch) == size or weight + len(line) > BATCH_BYTES:
            yield batch
            batch, weight = [], 0
        batch.append(line)
        weight += len(line)
    if batch:
        yield batch
