"""An artifact in parts reads as the one file that it would be, wherever it is cut; and a list that
is not what the tool has written is believed in nothing."""

from __future__ import annotations

import os
import random
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.transformed import sale
from utils.error_handler import ArtifactError, MigrationError
from utils.files.artifacts import lines_of, sha256_of, sha256_of_file
from utils.files.elsewhere import opened, range_of, size_of
from utils.files.extracted_rows import RowsByKey
from utils.files.known_files import FileStamp
from utils.files.parts import (
    Content,
    Part,
    files_of,
    link,
    parts_of,
    remove,
    remove_all,
    require_whole,
    sha256_of_parts,
    tidy,
    write_list,
)
from utils.files.pieces import data_at, places, record_end, records_data, whole_records
from utils.fleet.part_files import writing

SEEDS = range(12)


def records_of(dice: random.Random) -> list[list[bytes]]:
    return [
        [
            orjson.dumps({"Item": {**item, "notes": {"S": "x" * dice.choice((0, 1, 700))}}}) + b"\n"
            for item in sale(number, lines=dice.choice((0, 1, 5)))
        ]
        for number in range(dice.choice((1, 7, 40)))
    ]


def in_parts(path: Path, dice: random.Random, records: list[list[bytes]]) -> list[Part]:
    """Write records as an artifact in parts, some of which may have none."""
    cuts = sorted(dice.choices(range(len(records) + 1), k=dice.choice((0, 1, 4, 9))))
    edges = [0, *cuts, len(records)]
    parts = []
    for number, (start, end) in enumerate(pairwise(edges)):
        with writing(path, number) as part:
            for record in records[start:end]:
                part.output.write(b"".join(record), records=1, items=len(record))
        parts.append(part.written)
    write_list(path, parts)
    return parts


def both(directory: Path, seed: int) -> tuple[Path, Path, random.Random]:
    """The same records as one file and in parts."""
    dice = random.Random(seed)
    records = records_of(dice)
    one, cut = directory / "one.json", directory / "sales.json"
    one.write_bytes(b"".join(line for record in records for line in record))
    in_parts(cut, dice, records)
    return one, cut, dice


@pytest.mark.parametrize("seed", SEEDS)
def test_it_reads_as_the_one_file(tmp_path: Path, seed: int) -> None:
    one, cut, dice = both(tmp_path, seed)
    whole = one.read_bytes()
    assert parts_of(one) is None
    assert size_of(cut) == len(whole)
    assert sha256_of(cut) == sha256_of(one) != sha256_of_file(cut)
    assert list(lines_of(cut)) == whole.splitlines(keepends=True)
    assert b"".join(file.read_bytes() for _, file in files_of(cut)) == whole
    with opened(cut) as file, Content(cut) as content:
        assert content.size == len(whole)
        for _ in range(60):
            start, size = dice.randrange(len(whole) + 5), dice.choice((0, 1, 300, 1 << 20))
            expected = whole[start : start + size]
            assert content.read(size, start) == range_of(cut, start, size) == expected
            file.seek(start)
            assert file.tell() == start
            assert file.readline() == whole[start : whole.find(b"\n", start) + 1]
            file.seek(start)
            assert file.read(size) == expected
        file.seek(0)
        assert file.readlines() == whole.splitlines(keepends=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_its_pieces_are_those_of_the_one_file(tmp_path: Path, seed: int) -> None:
    one, cut, dice = both(tmp_path, seed)
    size = size_of(one)
    target = dice.choice((150, 900, 5_000))
    for place in places(size, target=target):
        assert data_at(cut, place) == data_at(one, place)
        assert records_data(cut, place) == records_data(one, place)
    assert [*whole_records(cut, target=target)] == [*whole_records(one, target=target)]
    with Content(cut) as parts, Content(one) as file:
        for _ in range(30):
            start = dice.randrange(size)
            assert record_end(parts, start, size) == record_end(file, start, size)


@pytest.mark.parametrize("seed", SEEDS)
def test_under_another_name_it_outlives_the_first(tmp_path: Path, seed: int) -> None:
    one, cut, _ = both(tmp_path, seed)
    digest = sha256_of(one)
    to = tmp_path / "undo" / "sales.loaded"
    to.parent.mkdir()
    half = to.with_name("sales.loaded.partial")
    link(cut, half, of=to)
    half.rename(to)
    files = [path.stat() for _, path in files_of(to)]
    link(cut, half, of=to)  # what is there already stays as it is
    half.rename(to)
    assert [path.stat() for _, path in files_of(to)] == files
    aside = tmp_path / "aside" / "sales.loaded"
    aside.parent.mkdir()
    link(to, aside)
    remove(cut)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json", "undo", "aside"}
    assert sha256_of(to) == digest
    remove_all(to.parent.iterdir())
    assert not any(to.parent.iterdir())
    (tmp_path / "moved").mkdir()
    shutil.move(aside.parent, tmp_path / "moved")
    assert sha256_of(tmp_path / "moved" / "aside" / "sales.loaded") == digest


def test_rows_are_found_by_their_keys(tmp_path: Path) -> None:
    path, dice = tmp_path / "sales.json", random.Random(5)
    rows = [b'{"first_id":%d,"note":"%b"}\n' % (key, b"x" * 900) for key in range(-9, 400, 3)]
    in_parts(path, dice, [[row] for row in rows])
    with RowsByKey(path) as found:
        for key in range(-12, 410):
            line = found.line(key)
            assert line == (rows[(key + 9) // 3] if key in range(-9, 400, 3) else None)


def test_a_part_that_is_touched_is_seen_from_outside(tmp_path: Path) -> None:
    _, cut, _ = both(tmp_path, 2)
    before, file = FileStamp.of_artifact(cut), files_of(cut)[-1][1]
    assert FileStamp.of_artifact(cut) == before
    later = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(later, later))
    assert FileStamp.of_artifact(cut) != before


def test_a_new_list_is_believed_at_once(tmp_path: Path) -> None:
    path, dice = tmp_path / "sales.json", random.Random(1)
    for content in (b"one\n", b"two\n", b"one\n"):
        in_parts(path, dice, [[content]])
        assert range_of(path, 0, 10) == content
        tidy(path)
    assert len(list((tmp_path / "sales").iterdir())) == len(files_of(path))


def test_a_part_that_is_gone_or_shorter_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    parts = in_parts(path, random.Random(3), [[b"a line\n"]] * 9)
    first = next(part for part in parts if part.bytes)
    file = tmp_path / "sales" / first.name
    file.write_bytes(b"x" * first.bytes)
    assert sha256_of_parts(path, parts, lambda: None)
    with pytest.raises(ArtifactError, match=f"{first.name} is not what was written there"):
        require_whole(path, parts, lambda: None)
    file.write_bytes(b"x")
    with pytest.raises(ArtifactError, match=f"{first.name} is not what was written there"):
        sha256_of_parts(path, parts, lambda: None)
    for read in (sha256_of, partial(range_of, start=0, size=99), lambda path: [*lines_of(path)]):
        with pytest.raises(ArtifactError, match=f"{first.name} is not what was written there"):
            read(path)
    file.unlink()
    for read in (sha256_of, partial(range_of, start=0, size=99), lambda path: [*lines_of(path)]):
        with pytest.raises(ArtifactError, match=f"{first.name} is missing"):
            read(path)


def damaged(text: bytes) -> dict[str, bytes]:
    """Lists that the tool has not written."""
    document: dict[str, Any] = orjson.loads(text)

    def with_(**changed: Any) -> bytes:
        part = {**document["parts"][0], **changed}
        return orjson.dumps({"inParts": document["inParts"], "parts": [part]})

    return {
        "cut": text[:-9],
        "elsewhere": orjson.dumps({**document, "inParts": "../sales"}),
        "another file": with_(name="../../manifest.json"),
        "a hidden one": with_(name=".mask-key"),
        "no number": with_(bytes="7"),
        "a negative one": with_(bytes=-1),
        "true": with_(records=True),
        "unknown": with_(more=1),
        "no parts": orjson.dumps({"inParts": "sales"}),
        "no list": orjson.dumps({"inParts": "sales", "parts": 7}),
    }


def test_a_damaged_list_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    in_parts(path, random.Random(3), [[b"a line\n"]])
    for name, text in damaged(path.read_bytes()).items():
        path.write_bytes(text)
        with pytest.raises(ArtifactError, match="is the list of its parts, and damaged") as told:
            size_of(path)
        assert told.value.remedy, name


def test_nothing_behind_a_link_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    [part] = filter(lambda part: part.bytes, in_parts(path, random.Random(0), [[b"a line\n"]]))
    file = tmp_path / "sales" / part.name
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MigrationError):
        range_of(path, 0, 9)
