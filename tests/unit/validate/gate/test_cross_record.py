"""What is compared between records: shared values, references, and the order of findings."""

from __future__ import annotations

from pathlib import Path

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_lines, identifier, party
from utils.files.findings import Finding
from utils.files.spill import Buckets
from validate.gate.duplicates import SharedValues, entries_of, without
from validate.gate.finding_spool import FindingSpool
from validate.gate.references import MigratedRecords
from validate.rules.record_facts import Facts


def shared(tmp_path: Path, *chunks: list[Facts]) -> list[tuple[int, str, str, str]]:
    """(place, legacy id, rule, message) of the duplicates among the facts of some chunks."""
    with Buckets(tmp_path) as buckets:
        values = SharedValues(buckets)
        first = 0
        for chunk in chunks:
            values.add(first, entries_of(chunk))
            first += len(chunk)
        return sorted(
            (found.ordinal, found.legacy_id, found.note.rule, found.note.message)
            for duplicates in values.duplicates()
            for found in duplicates
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
    assert without(entries_of(facts), {1, 10}) == "\n".join(
        line for line in entries_of(facts).split("\n") if line.split(" ")[-1] not in ("1", "10")
    )
    assert without("", {1}) == ""


def named_by(*sales: tuple[str, str]) -> list[tuple[str, list[str]]]:
    buyers, producers = zip(*sales, strict=True)
    return [("buyerId", [*buyers]), ("producerId", [*producers])]


def dangling(parties: MigratedRecords, *sales: tuple[str, str]) -> list[tuple[int, str, str]]:
    found = parties.referred("sales").dangling(named_by(*sales))
    return [(each.number, each.note.field, each.identifier) for each in found]


def test_a_reference_to_a_party_that_is_not_migrated_dangles() -> None:
    parties = MigratedRecords()
    for entity, kind in (("buyers", "buyer"), ("producers", "producer")):
        keys = [f"{kind.upper()}#{identifier(kind, number)}" for number in (1, 2, 3)]
        parties.add(entity, [*keys, ""])
        parties.remove(entity, [1])
    buyers, producers = (
        [identifier(kind, number) for number in range(10)] for kind in ("buyer", "producer")
    )
    assert dangling(parties, (buyers[1], producers[3])) == []
    assert dangling(
        parties,
        (buyers[1], producers[3]),
        (buyers[2], producers[2]),  # refused
        ("", ""),  # it has errors
        (buyers[9], producers[1]),  # unknown
        (producers[1], buyers[1]),  # swapped
        (buyers[9], producers[3]),
    ) == [
        (1, "buyerId", buyers[2]),
        (1, "producerId", producers[2]),
        (3, "buyerId", buyers[9]),
        (4, "buyerId", producers[1]),
        (4, "producerId", buyers[1]),
        (5, "buyerId", buyers[9]),
    ]


def test_parties_are_read_from_a_transformed_file(tmp_path: Path) -> None:
    path = tmp_path / "buyers.json"
    path.write_bytes(b"".join(as_lines([party("buyer", 1), party("buyer", 2)])))
    parties = MigratedRecords()
    parties.read("buyers", path)
    parties.add("producers", ["PRODUCER#PRODUCER5"])
    parties.remove("producers", [])
    assert not dangling(parties, (identifier("buyer", 2), "PRODUCER5"))
    assert dangling(parties, (identifier("buyer", 3), "PRODUCER5"))


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
