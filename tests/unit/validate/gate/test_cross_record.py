"""What is compared between records: shared values, references, and the order of findings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_lines, numbers, party, sale_record
from utils.files.findings import Finding
from utils.files.pieces import ByteRange
from utils.files.spill import Runs, Spill, ranges
from validate.gate.duplicates import SharedPass, entries_of
from validate.gate.finding_spool import (
    FindingSpool,
    findings_in,
    places_before,
    places_by_part,
    read_places,
    write_places,
)
from validate.gate.part import CheckedPart, CheckPass
from validate.gate.record_checks import Policy
from validate.gate.references import (
    DanglingPass,
    Doubtful,
    Keys,
    KeysPass,
    MissingPass,
    dangling_in,
)
from validate.rules.record_facts import Facts


def shared(
    tmp_path: Path, *chunks: list[Facts], refused: Collection[int] = ()
) -> list[tuple[int, str, str, str]]:
    """(place, legacy id, rule, message) of the duplicates among the facts of some parts; `refused`
    are places of records in the last of these."""
    parts, firsts = [], []
    for number, chunk in enumerate(chunks):
        spill = Spill(tmp_path)
        spill.add(entries_of(chunk, 0))
        parts.append(spill.finish())
        firsts.append(sum(map(len, chunks[:number])))
    left_out = {len(parts) - 1: write_places(tmp_path, refused)} if refused else {}
    work = SharedPass(tuple(parts), tuple(firsts), left_out, Policy(), "sales", tmp_path)
    return sorted(
        (place, found.legacy_id, found.rule, found.message)
        for runs in work(ranges(*parts))
        for place, found, _ in findings_in(runs)
    )


def test_a_shared_value_is_told_of_the_later_record_and_names_the_first(tmp_path: Path) -> None:
    code = ("duplicate-code", "C\t1\n")
    found = shared(
        tmp_path,
        [Facts("10", 1, "BUYER#a", (), (code,)), Facts("11", 1, "BUYER#b", (), ())],
        [Facts("12", 1, "BUYER#c", (), (code,)), Facts("13", 1, "BUYER#d", (), (code,))],
    )
    assert [entry[:3] for entry in found] == [
        (2, "12", "duplicate-code"),
        (3, "13", "duplicate-code"),
    ]
    assert all("record 10" in entry[3] for entry in found)


def test_a_key_that_comes_twice_is_told(tmp_path: Path) -> None:
    found = shared(
        tmp_path, [Facts("1", 1, "SALE#x"), Facts("2", 1, "SALE#y"), Facts("1", 1, "SALE#x")]
    )
    assert [entry[:3] for entry in found] == [(2, "1", "duplicate-key")]


def test_values_are_shared_only_within_their_rule(tmp_path: Path) -> None:
    facts = [
        Facts("1", 1, "A", (), (("duplicate-code", "x"),)),
        Facts("2", 1, "B", (), (("duplicate-vat-number", "x"),)),
        Facts("3", 1, "x"),
    ]
    assert shared(tmp_path, facts) == []


def test_a_record_with_errors_shares_nothing(tmp_path: Path) -> None:
    assert shared(tmp_path, [Facts("1", 1), Facts("2", 1), Facts("3", 1, "A")]) == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
@given(st.lists(st.sampled_from(["2024/1", "2024/2", "2023/1", "2023/9", "2022/5"])))
def test_all_but_the_first_of_equal_values_are_told(tmp_path: Path, values: list[str]) -> None:
    facts = [
        Facts(str(place), 1, f"SALE#{place}", (), (("duplicate-sale-number", value),))
        for place, value in enumerate(values)
    ]
    places = [entry[0] for entry in shared(tmp_path, facts)]
    assert places == [n for n, value in enumerate(values) if value in values[:n]]


def test_what_a_refused_record_would_share_is_left_out(tmp_path: Path) -> None:
    code = ("duplicate-code", "C\t1")
    facts = [Facts(str(n), 1, f"BUYER#{n}", (), (code,)) for n in range(12)]
    found = shared(tmp_path, facts[:4], facts[4:], refused=(0, 6))
    assert [entry[1] for entry in found] == ["1", "2", "3", "5", "6", "7", "8", "9", "11"]
    found = shared(tmp_path, facts[:2], refused=(0,))
    assert found == []


def keys_of(tmp_path: Path, kind: str, *legacy_ids: int, refused: Sequence[int] = ()) -> Keys:
    """The keys of parties in a part; `refused` are places."""
    path = tmp_path / f"{kind}.json"
    path.write_bytes(b"".join(as_lines([party(kind, number) for number in legacy_ids])))
    runs = KeysPass(path, f"{kind}s", tmp_path)((0, ByteRange(0, path.stat().st_size)))
    return Keys(runs, write_places(tmp_path, refused) if refused else None)


def dangling(
    tmp_path: Path, keys: Sequence[Keys], *parts: Sequence[tuple[int, int]]
) -> list[tuple[int, int, str, str]]:
    """(part, place, attribute, key in S9 of the sale) of what dangles in parts of a file of sales,
    each given as the buyer and the producer that it names. A negative buyer: the sale has an
    error."""
    path, pieces, legacy_id = tmp_path / "sales.json", list[ByteRange](), 0
    data = b""
    for part in parts:
        start = len(data)
        for buyer, producer in part:
            legacy_id += 1
            record = sale_record(legacy_id, buyer=abs(buyer), producer=producer)
            if buyer < 0:
                record[0].update(numbers(total="0.10"))
            data += b"".join(as_lines(record))
        pieces.append(ByteRange(start, len(data)))
    path.write_bytes(data)
    check = CheckPass(path, "sales", Policy(), tmp_path)
    checked: list[CheckedPart] = [check((n, piece)) for n, piece in enumerate(pieces)]
    named = tuple(each.named for each in checked)
    sides: list[Runs] = [*named, *(each.runs for each in keys)]
    missing = MissingPass(named, tuple(keys), tmp_path)(ranges(*sides))
    found = []
    for number, names in missing.items():
        doubtful = Doubtful(pieces[number], checked[number].found, names)
        part_found = DanglingPass(path, "sales", tmp_path)((number, doubtful))
        dangle = list(dangling_in(part_found.runs, "sales"))
        assert read_places(part_found.places) == {each.place for each, _ in dangle}
        assert part_found.records == len({each.place for each, _ in dangle})
        found += [(number, each.place, note.field, each.legacy_id) for each, note in dangle]
    return sorted(found)


def test_a_reference_to_a_party_that_is_not_migrated_dangles(tmp_path: Path) -> None:
    keys = (
        keys_of(tmp_path, "buyer", 1, 2, 2, 3, refused=(1, 3)),
        keys_of(tmp_path, "producer", 1, 3),
    )
    assert dangling(tmp_path, keys, [(1, 3)]) == []
    assert dangling(
        tmp_path,
        keys,
        [(1, 3), (2, 2), (-9, 9)],
        [(2, 1), (1, 1)],
        [(9, 1), (3, 9), (9, 3)],
    ) == [
        (0, 1, "producerId", "2"),
        (2, 0, "buyerId", "6"),
        (2, 1, "buyerId", "7"),
        (2, 1, "producerId", "7"),
        (2, 2, "buyerId", "8"),
    ]


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 20)))
def test_where_records_were_before_others_left(removed: set[int], late: set[int]) -> None:
    left = [place for place in range(60) if place not in removed]
    expected = sorted(removed | {left[place] for place in late})
    assert list(places_before(sorted(late), sorted(removed))) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.sets(st.integers(0, 40)), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_places_in_a_file_are_places_in_its_parts(
    tmp_path: Path, places: set[int], sizes: list[int]
) -> None:
    firsts = [sum(sizes[:number]) for number in range(len(sizes))]
    found = places_by_part(sorted(places), firsts, tmp_path)
    assert {firsts[n] + place for n, path in found.items() for place in read_places(path)} == places
    for number in found:
        ends = [*firsts[1:], 99]
        assert all(firsts[number] + place < ends[number] for place in read_places(found[number]))


def finding(number: int, rule: str) -> Finding:
    return Finding("sales", str(number), "total", rule, "error", f"message {number}")


def test_findings_come_back_by_record_whatever_the_order_of_the_runs(tmp_path: Path) -> None:
    with FindingSpool(tmp_path) as spool:
        spool.append([(1, finding(1, "a")), (1, finding(1, "b"))])
        spool.append([(4, finding(4, "a"))])
        spool.add_run([(2, finding(2, "late")), (9, finding(9, "late"))])
        spool.add_run([(0, finding(0, "later")), (4, finding(4, "later"))])
        found = [(place, [f.rule for f in findings]) for place, findings in spool]
        again = [place for place, _ in spool]
    assert found == [
        (0, ["later"]),
        (1, ["a", "b"]),
        (2, ["late"]),
        (4, ["a", "later"]),
        (9, ["late"]),
    ]
    assert again == [0, 1, 2, 4, 9]
    assert list(tmp_path.iterdir()) == []


def test_a_finding_survives_the_disk_unchanged(tmp_path: Path) -> None:
    whole = Finding("buyers", "12", "email", "email", "error", "è \n\t 🏭 \x00")
    with FindingSpool(tmp_path) as spool:
        spool.append([(3, whole)])
        assert list(spool) == [(3, [whole])]
    assert orjson.loads(orjson.dumps(whole.as_json()))["message"] == whole.message


def test_what_is_found_late_but_further_on_needs_no_run_of_its_own(tmp_path: Path) -> None:
    """So that however much is found, some files are open at a time."""
    with FindingSpool(tmp_path) as spool:
        for place in range(50):
            spool.add_run([(place, finding(place, "late"))])
            spool.add_run([])
        spool.add_run([(7, finding(7, "later"))])
        spool.append([(7, finding(7, "own"))])
        assert len(list(tmp_path.glob("*/*"))) == 3
        found = {place: [f.rule for f in findings] for place, findings in spool}
    assert found == {**{n: ["late"] for n in range(50)}, 7: ["own", "late", "later"]}
