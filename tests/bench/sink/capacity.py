"""What a table of the sink takes, when it is to be like a real one: a bucket of write units."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from utils.dynamodb.item_size import WRITE_UNIT_BYTES, size_of_text

_UNIT_BYTES = 1024
_PARTITION = re.compile(rb'"GSI.PK":\{"S":"[^"]*"\}')
_INDEX_KEYS = b'"GSI'
_KEYS_WITHIN = 800  # the keys open every item


def units_of(item: bytes) -> int:
    """Write units of an item: one a started KB, in the table and in every index that it is in.

    The bytes are those of its JSON, which are more than DynamoDB counts; a load that holds to
    what it is told has no way to know.
    """
    copies = 1 + item.count(_INDEX_KEYS, 0, _KEYS_WITHIN) // 2
    return -(-len(item) // _UNIT_BYTES) * copies


@dataclass
class Capacity:
    """Takes `units` a second (0: any number), keeps what is not used for `burst` seconds, and
    remembers what it has taken and when."""

    units: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    taken: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        self._room = self.units * self.burst
        self._since = self.clock()

    def choose(self, items: Sequence[bytes]) -> list[bool]:
        """Which of these items there is room for: those before the first that is too much."""
        count = self.take(items)
        return [number < count for number in range(len(items))]

    def take(self, items: Sequence[bytes]) -> int:
        """How many of these items there is room for, from the first on."""
        now = self.clock()
        passed, self._since = now - self._since, now
        self._room = min(self._room + passed * self.units, self.units * self.burst)
        used, count = 0.0, 0
        for item in items:
            units = units_of(item)
            if self.units and used + units > self._room:
                break
            used += units
            count += 1
        self._room -= used
        self.taken.append((now, used))
        self.refused += count < len(items)
        return count


@dataclass
class PartitionCapacity:
    """Takes any number of units, but no more than `units` a second under one partition key of an
    index: as DynamoDB, which takes 1,000. What is not used is kept for `burst` seconds. The bytes
    are those that DynamoDB counts."""

    units: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    taken: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    _rooms: dict[bytes, tuple[float, float]] = field(default_factory=dict)

    def choose(self, items: Sequence[bytes]) -> list[bool]:
        """Which of these items there is room for."""
        now = self.clock()
        chosen = [self._takes(item, now) for item in items]
        self.refused += not all(chosen)
        return chosen

    def _takes(self, item: bytes, now: float) -> bool:
        keys = _PARTITION.findall(item, 0, _KEYS_WITHIN)
        units = -(-size_of_text(item) // WRITE_UNIT_BYTES)
        rooms = {key: self._room(key, now) for key in keys}
        if any(room < units for room in rooms.values()):
            return False
        self._rooms |= {key: (room - units, now) for key, room in rooms.items()}
        self.taken.append((now, float(units * (1 + len(keys)))))
        return True

    def _room(self, key: bytes, now: float) -> float:
        most = self.units * self.burst
        room, since = self._rooms.get(key, (most, now))
        return min(room + (now - since) * self.units, most)
