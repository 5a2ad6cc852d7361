"""What was written last and what is to be written now, side by side: every record is the same,
changed, new or gone, as a comparison in memory says, wherever the changes are."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from load.sync.comparison import Changed, Gone, Same, compare
from load.sync.known_records import KnownFiles, KnownRecords
from utils.error_handler import ArtifactError
from utils.files.artifacts import split_records
from utils.files.line_marks import EDITED, KEPT, NEW, SAME, WITHDRAWN, LineMarks

Records = dict[int, list[bytes]]


def record(key: int, lines: int, version: int, padding: int = 0) -> list[bytes]:
    """A sale with its lines."""
    pk = f"SALE#{key:08}"
    text = f"{version}" + "x" * padding
    head = (
        '{"Item":{"PK":{"S":"%s"},"SK":{"S":"METADATA"},"legacyId":{"S":"%d"},"notes":{"S":"%s"}}}'
    )
    line = '{"Item":{"PK":{"S":"%s"},"SK":{"S":"LINE#%d"},"legacyId":{"S":"%d"},"v":{"S":"%s"}}}'
    return [
        (head % (pk, key, text) + "\n").encode(),
        *((line % (pk, n, n, text) + "\n").encode() for n in range(lines)),
    ]


def some(chance: random.Random, keys: int, padding: int) -> Records:
    chosen = sorted(chance.sample(range(-keys, keys * 3), keys))
    return {key: record(key, chance.randrange(4), 0, chance.randrange(padding)) for key in chosen}


def changed(chance: random.Random, records: Records, share: float) -> Records:
    """The records of another day: some gone, some new, some with other content or lines."""
    other = {}
    for key, lines in records.items():
        if chance.random() >= share:
            other[key] = lines
        elif chance.random() < 0.7:
            other[key] = record(key, chance.randrange(4), chance.randrange(1, 9))
    for key in chance.sample(range(10_000, 20_000), chance.randrange(4)):
        other[key] = record(key, 2, 0)
    for key in chance.sample(range(-20_000, -10_000), chance.randrange(3)):
        other[key] = record(key, 1, 0)
    return dict(sorted(other.items()))


def write(path: Path, records: Records) -> Path:
    path.write_bytes(b"".join(line for lines in records.values() for line in lines))
    return path


def plan_of(path: Path, records: Records, marks: dict[int, int]) -> Path:
    """The plan of a load of the file at `path`, in which records have these marks."""
    plan = path.with_suffix(".plan")
    place = 0
    with LineMarks.create(plan, path.stat().st_size) as written:
        for key, lines in records.items():
            written.mark_all(place, lines, [marks.get(key, NEW)] * len(lines))
            place += sum(map(len, lines))
    return plan


@pytest.mark.parametrize("seed", range(40))
def test_it_says_what_a_comparison_in_memory_says(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    before = some(chance, chance.choice((0, 1, 30, 400)), chance.choice((2, 1_500)))
    now = changed(chance, before, chance.choice((0.0, 0.003, 0.1, 1.0)))
    # What stays although S9 has it no more stands in a file of its own.
    beside = {key: lines for key, lines in before.items() if chance.random() < 0.05}
    main = {key: lines for key, lines in before.items() if key not in beside}
    marks = {key: chance.choice((SAME, KEPT, EDITED, WITHDRAWN)) for key in main if key % 9 == 0}
    path = write(tmp_path / "loaded", main)
    staying = write(tmp_path / "staying", beside) if beside else None
    new = write(tmp_path / "new.json", now)

    same, others, gone = [], {}, []
    with KnownRecords(KnownFiles(path, plan_of(path, main, marks), staying)) as known:
        place = 0
        for each in compare(new, known):
            if isinstance(each, Gone):
                gone.append(each.known.key)
                assert list(each.known.lines) == before[each.known.key]
                continue
            assert each.place == place
            place += sum(map(len, each.lines))
            if isinstance(each, Same):
                same += [list(lines) for lines in split_records(each.lines)]
                assert each.records == len(list(split_records(each.lines)))
            elif isinstance(each, Changed):
                others[each.lines[0]] = each
    assert place == new.stat().st_size

    def is_same(key: int) -> bool:
        written = key in before and marks.get(key) not in (KEPT, EDITED, WITHDRAWN)
        return written and before[key] == now[key]

    assert same == [lines for key, lines in now.items() if is_same(key)]
    assert others.keys() == {lines[0] for key, lines in now.items() if not is_same(key)}
    for key, lines in now.items():
        if lines[0] in others:
            known_record = others[lines[0]].known
            is_known = key in before and marks.get(key) != WITHDRAWN
            assert (known_record is not None) == is_known
            assert known_record is None or list(known_record.lines) == before[key]
    left = [key for key in before if key not in now and marks.get(key) != WITHDRAWN]
    assert gone == sorted(left)


def test_a_file_in_another_order_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "loaded", {})
    new = write(tmp_path / "sales.json", {7: record(7, 1, 0), 3: record(3, 0, 0)})
    nothing = KnownFiles(path, plan_of(path, {}, {}))
    with KnownRecords(nothing) as known, pytest.raises(ArtifactError, match="not in the order"):
        list(compare(new, known))


def test_what_differs_in_notation_alone_is_the_same(tmp_path: Path) -> None:
    """As when what is known was read from the table: other order, other numbers."""
    mine = (
        b'{"Item":{"PK":{"S":"B#1"},"SK":{"S":"METADATA"},"legacyId":{"S":"1"},"n":{"N":"1.5"}}}\n'
    )
    table = (
        b'{"Item":{"PK":{"S":"B#1"},"SK":{"S":"METADATA"},"n":{"N":"1.50"},"legacyId":{"S":"1"}}}\n'
    )
    path = write(tmp_path / "loaded", {1: [table]})
    new = write(tmp_path / "buyers.json", {1: [mine]})
    with KnownRecords(KnownFiles(path, plan_of(path, {1: [table]}, {}))) as known:
        assert [type(each) for each in compare(new, known)] == [Same]
