"""Figures and their nouns agree, in every sentence of the tool (utils/wording/figures.py)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents.figures import AFTER_A_FIGURE, ONE_OF_MANY
from tests.support.places import ROOT
from utils.cli.closings import CLOSINGS, Closing, said
from utils.wording.figures import Figure, costing, counted

SOURCES = [
    ROOT / "migrate.py",
    *(
        path
        for name in ("extract", "transform", "validate", "load", "utils")
        for path in sorted((ROOT / name).rglob("*.py"))
        if "embedded" not in path.parts
    ),
]
# What stands before such a word and is no figure, or one that is never 1.
NEVER_ONE = {
    "%s of records",  # a number of files
    "ANSWER_SECONDS",
    "CONNECT_SECONDS",
    "LOCK_SECONDS",
    "MAX_DEPTH",
    "MAX_ELEMENTS",
    "_ACTIVE_WITHIN / 60",
    "_AT_MOST",
    "_BANK_DETAILS",
    "_BYTES_A_ROW",
    "_PATIENCE",
    "_WITHIN / 60",
    "count.rows",  # where there is more than one
    "counted['items']",  # "with lines"
    "counted(found.write_units, 'write unit')",  # with all indexes
    "delay",  # above a minute
    "earlier",  # hours with a decimal
    "kind",  # of records
    "len(addresses)",
    "len(digits)",  # more than DynamoDB takes
    "len(text)",  # likewise
    "len(value)",  # likewise
    "minutes",  # of hours
    "origin.column or field or 'the record'",
    "field or 'the record'",
    "size",  # beyond a limit
    "soft",  # of open files
    "self.connect_timeout",
    "self.read_timeout",
    "this['version']",
    "%.0f seconds",  # at least those that pass before a second look
}


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 tries"), (1, "1 try"), (2, "2 tries"), (1_250, "1,250 tries")]
)
def test_a_figure_has_its_noun_with_it(count: int, text: str) -> None:
    assert counted(count, "try", "tries") == text
    assert f"{Figure(count):try|tries}" == text
    assert f"{Figure(count)}" == text.partition(" ")[0]
    assert f"{Figure(count):item}" == counted(count, "item")


@pytest.mark.parametrize("closing", CLOSINGS.values(), ids=lambda closing: closing.name)
def test_every_last_line_is_right_for_one_and_for_many(closing: Closing) -> None:
    names = re.findall(r"\{(\w+)", closing.words)
    one, many = (said(closing.name, **dict.fromkeys(names, count)) for count in (1, 12))
    assert not ONE_OF_MANY.search(one)
    assert not re.search(r"\b12 (?:item|record)\b", many)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USD"),
        (0.00001, "less than 0.0001 USD"),
        (0.00243, "0.0024 USD"),
        (1234.5, "1,234.50 USD"),
    ],
)
def test_a_price_is_shown_as_far_as_there_is_something_to_see(amount: float, text: str) -> None:
    assert costing(amount, "USD") == text


def figures_before_nouns(path: Path) -> Iterator[str]:
    """What a file's sentences have before a plural: the expressions, and the formats of logs."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for figure, text in zip(node.values, node.values[1:], strict=False):
                is_text = isinstance(text, ast.Constant) and AFTER_A_FIGURE.match(str(text.value))
                if is_text and isinstance(figure, ast.FormattedValue):
                    yield ast.unparse(figure.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for found in re.finditer(r"%[.0-9]*[dsf]", node.value):
                if words := AFTER_A_FIGURE.match(node.value[found.end() :]):
                    yield found[0] + words[0]


def test_no_sentence_has_a_plural_after_a_figure_that_may_be_one() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {figure}"
        for path in SOURCES
        for figure in figures_before_nouns(path)
        if figure not in NEVER_ONE
    }
    assert not found, "write them with utils.wording.figures.counted"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("1 items stay", True),
        ("(1 conditional requests)", True),
        ("1 item stays", False),
        ("11 items", False),
        ("2.1 items", False),
        ("phase 1: sales", False),
        ("1 item of producers", False),
        ("1 of the sales", False),
    ],
)
def test_a_wrong_figure_is_found(text: str, *, wrong: bool) -> None:
    assert bool(ONE_OF_MANY.search(text)) is wrong
