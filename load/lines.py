"""Transformed lines as they are sent: nothing is parsed, and a line says what it needs to say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BATCH_BYTES = 15 << 20  # the limit of 16 MB, less the request's own text
_UNIT_BYTES = 1024
_INDEX_KEY = b'"GSI'
_KEYS_WITHIN = 200  # PK and SK of the tool's own items are shorter
_KEY = re.compile(rb'"PK":\{"S":"([^"]*)"\}')


def record_key(line: bytes) -> str:
    """The partition key of a transformed line: all items of a record have the same."""
    found = _KEY.search(line)
    return found[1].decode() if found else ""


def units_of(line: bytes, indexes: int) -> int:
    """About how many write units a line's item takes in a table with so many indexes.

    DynamoDB's size of an item is smaller than its JSON; whether an item is in the indexes shows
    in the keys with which it opens. What is really consumed is known from the answer.
    """
    kilobytes = -(-len(line) // _UNIT_BYTES)
    return kilobytes * (1 + indexes) if line.find(_INDEX_KEY, 0, _KEYS_WITHIN) >= 0 else kilobytes


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
