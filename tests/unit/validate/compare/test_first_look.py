"""The first look: what is the same on both sides is settled, and nothing else is, wherever pages
end and whatever has happened to the file or the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records.items import line, sale
from utils.dynamodb.item_content import line_of
from validate.compare import record_entries
from validate.compare.comparison import Settled
from validate.compare.file_records import records_in
from validate.compare.table_pages import read_table_page

Item = dict[str, Any]
FATES = ("same", "gone", "changed", "stripped")
TEXTS = st.sampled_from(("", "plain", 'a "quoted" one', "tab\tand\nbreak", "}},{", '"},"', "é€"))


@st.composite
def records(draw: st.DrawFn) -> list[list[Item]]:
    """Sales with their lines, some of which no pattern takes for flat."""
    found = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        count = draw(st.integers(0, 4))
        head = sale(number, lines=count) | {"notes": {"S": draw(TEXTS)}}
        if draw(st.booleans()):
            head["legacy"] = {"M": {"b": {"S": draw(TEXTS)}, "a": {"M": {"c": {"N": "1"}}}}}
        lines = [
            line(number, place) | {"notes": {"S": draw(TEXTS)}} for place in range(1, count + 1)
        ]
        found.append([head, *lines])
    return found


def with_fates(draw: st.DrawFn, items: Iterable[Item]) -> list[Item]:
    found = []
    for item in items:
        fate = draw(st.sampled_from(("same",) * 12 + FATES))
        if fate == "changed":
            item = item | {"updatedBy": {"S": "somebody"}}  # noqa: PLW2901
        elif fate == "stripped":
            item = {name: item[name] for name in item if name != "legacyId"}  # noqa: PLW2901
        if fate != "gone":
            found.append(item)
    return found


def page_of(items: Sequence[Item]) -> bytes:
    shuffled = [dict(reversed(item.items())) for item in items]
    return orjson.dumps({"Count": len(items), "Items": shuffled, "ScannedCount": len(items)})


def key_of(item: Item) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]


def by_record(items: Iterable[Item]) -> dict[str, list[bytes]]:
    found = defaultdict[str, list[bytes]](list)
    for item in items:
        found[item["PK"]["S"]].append(orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
    return {pk: sorted(texts) for pk, texts in found.items()}


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Item], list[list[Item]]]:
    """The items of a file in its order, and those of a table by the pages of a scan."""
    own = draw(records())
    in_file = with_fates(draw, (item for record in own for item in record))
    if draw(st.integers(0, 9)) == 0 and in_file:  # a line has got somewhere else
        in_file.insert(
            draw(st.integers(0, len(in_file))), in_file.pop(draw(st.integers(0, len(in_file) - 1)))
        )
    in_table = with_fates(draw, (item for record in own for item in record))
    if draw(st.booleans()):
        in_table += [
            line(draw(st.integers(1, 9)), 9),
            *draw(st.sampled_from(([], sale_of_others()))),
        ]
    in_table = sorted({key_of(item): item for item in in_table}.values(), key=key_of)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(in_table) - 1)), max_size=5)))
    if draw(st.integers(0, 9)) == 0:  # a server that does not sort
        in_table = draw(st.permutations(in_table))
    ends = [0, *cuts, len(in_table)]
    return in_file, [in_table[start:end] for start, end in pairwise(ends)]


def sale_of_others() -> list[Item]:
    return [{name: value for name, value in sale(77, lines=0).items() if name != "legacyId"}]


def settled(in_file: Sequence[Item], pages: Sequence[Sequence[Item]]) -> Settled:
    data = b"".join(line_of(item) + b"\n" for item in in_file)
    expected = [record.entry[1] for record in records_in(data, "sales")]
    found = [
        entry
        for page in pages
        for _, entry in read_table_page(page_of(page), "sales", as_written=True).entries
    ]
    result = Settled("sales")
    result.add_bucket(expected, found, None)
    return result


def is_whole(texts: Sequence[bytes]) -> bool:
    """Whether a record of the migration has as many lines as it says and nothing else."""
    items = [orjson.loads(text) for text in texts]
    heads = [item for item in items if item["SK"]["S"] == "METADATA"]
    lines = [item for item in items if item["SK"]["S"].startswith("LINE#")]
    return (
        len(heads) == 1
        and len(heads) + len(lines) == len(items)
        and all("legacyId" in item for item in items)
        and heads[0]["linesCount"]["N"] == str(len(lines))
    )


@settings(max_examples=400)
@given(scenes())
def test_what_is_the_same_and_whole_is_settled_and_nothing_else(
    scene: tuple[list[Item], list[list[Item]]],
) -> None:
    in_file, pages = scene
    mine, theirs = by_record(in_file), by_record(item for page in pages for item in page)
    same = {pk for pk in mine if mine[pk] == theirs.get(pk) and is_whole(mine[pk])}
    foreign = {
        pk
        for pk in theirs.keys() - mine.keys()
        if not any(b'"legacyId"' in text for text in theirs[pk])
    }

    result = settled(in_file, pages)

    doubtful = {orjson.loads(pk) for pk in result.doubtful}
    assert (mine.keys() | theirs.keys()) - same - foreign <= doubtful
    assert result.alike + len(doubtful & same) == len(same)
    if [*map(key_of, in_file)] == [*dict.fromkeys(map(key_of, in_file))] and in_order(in_file):
        assert not doubtful & same
    migrated = sum(b'"legacyId"' in text for pk in doubtful for text in theirs.get(pk, ()))
    assert result.found.items == migrated


def in_order(items: Sequence[Item]) -> bool:
    """Whether the items of each record stand together, as they are written."""
    places = {pk: n for n, pk in enumerate(dict.fromkeys(item["PK"]["S"] for item in items))}
    order = [
        (
            places[item["PK"]["S"]],
            item["SK"]["S"] != "METADATA",
            int(item.get("lineNumber", {"N": "0"})["N"]),
        )
        for item in items
    ]
    return order == sorted(order)


def test_a_record_of_many_pages_is_left_to_the_second_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [sale(1, lines=6), *(line(1, place) for place in range(1, 7)), sale(2, lines=0)]
    table = sorted(items, key=key_of)
    pages = [table[:2], table[2:4], table[4:6], table[6:]]
    assert settled(items, pages).alike == 2
    monkeypatch.setattr(record_entries, "_LARGEST_CUT", 1_000)
    result = settled(items, pages)
    assert [orjson.loads(pk) for pk in result.doubtful] == [items[0]["PK"]["S"]]
    assert result.alike == 1
