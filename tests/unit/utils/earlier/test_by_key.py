"""Each byte of an earlier file is beside exactly one piece of the new one, and the right one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from utils.earlier import by_key
from utils.earlier.by_key import data_of, key_of_items, keys_at
from utils.files.extracted_rows import key_of_row
from utils.files.pieces import data_at, places

HISTORIES = 60


def rows_of(chance: random.Random, keys: list[int]) -> bytes:
    """An extracted file; some lines are long, and some say no key."""
    lines = []
    for key in sorted(keys):
        if chance.random() < 0.1:
            lines.append(b"no row\n")
        length = chance.choice((0, 5, 5, 400))
        lines.append(b'{"first_id":%d,"notes":"%b"}\n' % (key, b"x" * length))
    return b"".join(lines)


def items_of(chance: random.Random, keys: list[int]) -> bytes:
    """A transformed file, of records with several lines."""
    texts = []
    for key in sorted(keys):
        head = b'{"Item":{"PK":{"S":"SALE#%d"},"SK":{"S":"%b"},"legacyId":{"S":"%d"}}}\n'
        texts.append(head % (key, b"METADATA", key))
        texts += [head % (key, b"LINE#%d" % n, n) for n in range(chance.choice((0, 1, 30)))]
    return b"".join(texts)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_byte_is_beside_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(by_key, "_ONE_AFTER_THE_OTHER", chance.choice((1, 100, 1 << 15)))
    new, rows, items = (tmp_path / name for name in ("new", "rows", "items"))
    everyone = range(-3, chance.choice((4, 60)))
    now, before = (
        [key for key in everyone if chance.random() < share] for share in (0.7, chance.random())
    )
    new.write_bytes(rows_of(chance, now))
    rows.write_bytes(rows_of(chance, before))
    items.write_bytes(items_of(chance, before))
    seen = []
    for place in places(new.stat().st_size, target=chance.choice((10, 100, 1_000))):
        keys = keys_at(new, place, key_of_row)
        seen.append(keys)
        own = [key_of_row(line) for line in data_at(new, place)[1].splitlines(keepends=True)]
        assert all(keys.low <= key < keys.high for key in own if key is not None)
        for line in data_of(items, keys, key_of_items).splitlines(keepends=True):
            key = key_of_items(line)
            assert key is None or keys.low <= key < keys.high
    for path, key_of in ((rows, key_of_row), (items, key_of_items)):
        together = b"".join(data_of(path, keys, key_of) for keys in seen)
        assert together == (path.read_bytes() if seen else b"")
