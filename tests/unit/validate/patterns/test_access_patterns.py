"""An index that lags gets some time, once for all patterns; one that is wrong is found out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from load.load_buyers import TABLE
from load.load_sales import TABLE as SALES
from tests.support.records.transformed import Item, party, sale
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import RequestRefused, Unanswered
from utils.dynamodb.table_reader import TableReader
from validate.compare.file_records import read_file_lines
from validate.patterns.access_patterns import Patience, replay
from validate.patterns.pattern_result import PatternResult
from validate.patterns.pattern_samples import GROUP, Sample, Samples


@dataclass
class LateReader:
    """A target where nothing is found at first; after `late` requests for an item, everything."""

    late: int
    asked: list[str] = field(default_factory=list)

    def ask(self, operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        if operation == "Scan":
            return {"Items": []}
        self.asked.append(operation)
        return {"Item": party("buyer", 1)} if len(self.asked) > self.late else {}


@dataclass
class RefusingReader:
    """A target that refuses every GetItem."""

    def ask(self, operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        if operation == "GetItem":
            raise RequestRefused("the key does not match the schema", remedy="mend the table")
        return {"Items": []}


@dataclass
class BusyReader(LateReader):
    """A target that has an answer only for who asks alone."""

    def ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if threading.current_thread() is not threading.main_thread():
            raise Unanswered("not in 6 tries", remedy="wait")
        return super().ask(operation, request)


def replayed(reader: object, slept: list[float], retries: int = 5) -> tuple[PatternResult, ...]:
    samples = Samples("sales", frozenset())
    item = party("buyer", 1)
    samples.records.kept[item["PK"]["S"]] = Sample(orjson.dumps({"Item": item}))
    patience = Patience(
        RetryPolicy(retries, 0.5, sleep=slept.append, uniform=lambda _, bound: bound)
    )
    return replay(cast(TableReader, reader), "Buyers", TABLE, samples, patience)


@pytest.mark.parametrize(("late", "slept"), [(0, []), (1, [0.5]), (3, [0.5, 1.0, 2.0])])
def test_it_is_asked_again_until_it_is_right(late: int, slept: list[float]) -> None:
    naps: list[float] = []
    results = replayed(LateReader(late), naps)
    assert naps == slept
    assert not any(result.failures for result in results)


def test_it_fails_when_the_patience_is_used_up() -> None:
    naps: list[float] = []
    results = replayed(LateReader(1_000_000), naps, retries=2)
    failures = {result.name: result.failures for result in results if result.failures}
    pk = party("buyer", 1)["PK"]["S"]
    assert failures == {"one buyer": (f"{pk} is not there",)}
    assert naps == [0.5, 1.0]


def test_what_gets_no_answer_beside_others_is_asked_alone() -> None:
    naps: list[float] = []
    assert not any(result.failures for result in replayed(BusyReader(0), naps))
    assert naps == []


def test_a_refused_request_is_a_failure_of_its_pattern() -> None:
    results = replayed(RefusingReader(), [])
    failures = {result.name: result.failures for result in results if result.failures}
    assert failures == {"one buyer": ("the key does not match the schema",)}


@dataclass
class IndexReader:
    """A target where one index answers with these sales, whatever it is asked for."""

    index: str
    sales: Sequence[Item]

    def ask(self, _operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Items": list(self.sales) if request.get("IndexName") == self.index else []}

    def pages(self, operation: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield self.ask(operation, request)


def sold(numbers: Sequence[int], date: str = "") -> list[Item]:
    """Sales of one year's numbering and one buyer, without lines, in the order of their dates."""
    items = [sale(number, lines=0)[0] for number in numbers]
    for number, item in zip(numbers, items, strict=True):
        day = {"S": date or f"2024-{number // 28 + 1:02}-{number % 28 + 1:02}"}
        numbering = {"GSI4PK": {"S": "SALE"}, "GSI4SK": day}
        item.update(saleDate=day, GSI1SK=day, GSI2SK=day, GSI3SK=day, **numbering)
    return items


def samples_of(due: Sequence[Item]) -> Samples:
    """The samples of a file that has these sales."""
    samples = Samples("sales", frozenset())
    lines = [orjson.dumps({"Item": item}) + b"\n" for item in due]
    for record in read_file_lines(lines, "sales"):
        samples.add(record)
    return samples


def failures_of(name: str, index: str, due: Sequence[Item], found: Sequence[Item]) -> list[str]:
    """How a pattern fails when the file has the sales `due` and the index answers `found`."""
    reader = cast(TableReader, IndexReader(index, found))
    results = replay(reader, "Sales", SALES, samples_of(due), Patience(RetryPolicy(0, 1.0)))
    return [problem for result in results if result.name == name for problem in result.failures]


OF_A_BUYER = ("sales of a buyer", "GSI2-QueryByProducer")
NEXT_NUMBER = ("next sale number", "GSI4-QueryByDate")


def test_an_index_in_another_order_is_wrong() -> None:
    sales = sold([1, 2, 3])
    assert failures_of(*OF_A_BUYER, sales, sales) == []
    (failure,) = failures_of(*OF_A_BUYER, sales, sales[::-1])
    assert "is not in the order of GSI2SK" in failure


def test_a_large_group_that_ends_early_is_wrong() -> None:
    sales = sold(range(1, GROUP + 51))
    assert failures_of(*OF_A_BUYER, sales, sales[: GROUP + 1]) == []
    problems = failures_of(*OF_A_BUYER, sales, sales[:4])
    assert any("has 4 of 150 sales" in problem for problem in problems)


def test_a_large_group_may_break_off_within_a_day() -> None:
    sales = sold(range(1, GROUP + 51), date="2024-06-01")
    assert failures_of(*OF_A_BUYER, sales, sales[49:]) == []


def test_the_highest_number_is_what_the_next_one_follows() -> None:
    """A13: 6 of 10 November and 8 of 5 November; 8 has to answer."""
    six, eight = *sold([6], date="2024-11-10"), *sold([8], date="2024-11-05")
    assert failures_of(*NEXT_NUMBER, [six, eight], [eight]) == []
    (failure,) = failures_of(*NEXT_NUMBER, [six, eight], [six, eight])
    assert "would give 7 next" in failure
    assert f"8 is taken by {eight['PK']['S']}" in failure


def test_two_sales_of_the_last_day_leave_the_answer_to_chance() -> None:
    sales = sold([1, 2], date="2024-12-01")
    assert failures_of(*NEXT_NUMBER, sales, sales[1:]) == []
    (failure,) = failures_of(*NEXT_NUMBER, sales, sales[::-1])
    assert f"{sales[0]['PK']['S']} is of 2024-12-01 as well" in failure


def test_a_sale_numbered_in_another_year_must_not_answer() -> None:
    (strange,) = sold([901], date="2024-01-02")
    strange["year"] = {"N": "2023"}
    (failure,) = failures_of(*NEXT_NUMBER, [strange], [strange])
    assert "which is not numbered in that year" in failure
    assert failures_of(*NEXT_NUMBER, [strange], []) == []


def test_a_year_in_which_nothing_is_found_has_lost_its_numbers() -> None:
    sales = sold([1, 2])
    assert failures_of(*NEXT_NUMBER, sales, []) == ["2024: no sale is found"]


def test_what_the_application_has_numbered_since_is_later_and_higher() -> None:
    sales, theirs = sold([1, 2]), sold([3], date="2024-12-01")
    del theirs[0]["legacyId"]
    assert failures_of(*NEXT_NUMBER, sales, theirs) == []
    theirs[0]["saleNumber"] = {"N": "2"}  # it was given a number that was taken
    assert failures_of(*NEXT_NUMBER, [*sales, *sold([4])], theirs) != []


def test_a_last_sale_that_the_application_has_numbered_anew_is_not_a_fault() -> None:
    sales = sold([1, 2])
    changed = {**sales[1], "saleNumber": {"N": "5"}}
    (failure,) = failures_of(*NEXT_NUMBER, sales, [changed])
    assert f"the number of {changed['PK']['S']} is not 2" in failure
    edited = {**changed, "updatedAt": {"S": "2026-01-01T10:00:00.000Z"}}
    assert failures_of(*NEXT_NUMBER, sales, [edited]) == []


def test_every_year_is_asked() -> None:
    sales = [sold([n], date=f"{year}-05-05")[0] for n, year in enumerate(range(1980, 2026), 1)]
    samples = samples_of(sales)
    results = replay(
        cast(TableReader, IndexReader("none", [])),
        "S",
        SALES,
        samples,
        Patience(RetryPolicy(0, 1.0)),
    )
    (result,) = [result for result in results if result.name == NEXT_NUMBER[0]]
    assert result.sampled == len(sales)


def test_a_last_sale_that_is_not_as_it_was_sent_hides_no_other() -> None:
    """8 was given up by the application; 6, which stood after it, is not in the index."""
    five, six, eight = (
        *sold([5], date="2024-11-01"),
        *sold([6], date="2024-11-10"),
        *sold([8], date="2024-11-05"),
    )
    samples = samples_of([five, six, eight])
    samples.leave([orjson.dumps(eight["PK"]["S"])])
    for found, failures in ((five, 1), (six, 0)):
        reader = cast(TableReader, IndexReader(NEXT_NUMBER[1], [found]))
        results = replay(reader, "Sales", SALES, samples, Patience(RetryPolicy(0, 1.0)))
        (result,) = [result for result in results if result.name == NEXT_NUMBER[0]]
        assert len(result.failures) == failures
