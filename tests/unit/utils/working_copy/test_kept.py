"""What was kept in a file of items, done to it again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from load.conflicts.replaced_items import ReplacedItems
from utils.working_copy.kept import is_kept_elsewhere, keeping, replay
from utils.working_copy.staging import life_of

ITEMS = [
    ({"PK": {"S": f"BUYER#{n}"}, "SK": {"S": "METADATA"}}, f'{{"n":"{n}"}}'.encode())
    for n in range(5)
]


def test_a_file_is_made_again_from_what_was_kept_of_it(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    lives = set()

    def put(path: Path, life: str, moment: str, text: bytes) -> None:
        assert path.name == "buyers.before"
        lives.add(life)
        kept[moment] = text

    path, copy = tmp_path / "undo" / "buyers.before", tmp_path / "copy"
    path.parent.mkdir()
    with keeping(tmp_path, put):
        assert is_kept_elsewhere(path)
        with ReplacedItems(path) as items:
            copy.write_bytes(path.read_bytes())  # as it is sent first
            items.keep(ITEMS[:2])
            items.keep(ITEMS[1:3], taken=ITEMS[3:], softened=ITEMS[:1])
            items.has_repaired(ITEMS[:1])
        with ReplacedItems(path) as items:
            items.has_repaired([(ITEMS[0][0], b'{"n":"other"}')])
    assert lives == {life_of(path)}
    assert list(kept) == sorted(kept)
    for _ in range(2):  # what is done twice does no harm
        replay(copy, kept.values())
        assert contents(copy) == contents(path)
    assert not is_kept_elsewhere(path)


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as file:
        tables = [
            name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {name: sorted(file.execute(f"SELECT * FROM {name}")) for name in tables}
