"""A few of the random configurations, environments and data directories of tests/torture: the same
ones every time (trial C17)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import Operator
from tests.support.operators.unexpected import (
    configurations_that_fail,
    data_directories_that_fail,
    environments_that_fail,
    settle,
)
from utils.settings.typed_json import fits

SEED = 2026


def test_nothing_is_unexpected(alone: Operator, s9: S9Database) -> None:
    settled = settle(alone, s9)
    settled.write_config()
    assert not list(data_directories_that_fail(settled, SEED, 12))
    assert not list(environments_that_fail(settled, SEED, 3))
    assert not list(configurations_that_fail(settled, SEED, 30))


@dataclass
class Inner:
    number: int


@dataclass
class Shape:
    text: str
    inner: Inner
    words: dict[str, list[Inner]] = field(default_factory=dict)
    some: int | None = None
    listed: tuple[str, ...] = ()
    open: Mapping[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 1},
        {"inner": {"number": 1}},
        {"inner": Inner(number=True)},
        {"words": []},
        {"words": {"a": None}},
        {"words": {1: []}},
        {"words": {"a": [Inner(None)]}},  # type: ignore[arg-type]
        {"some": "x"},
        {"listed": ["x"]},
        {"listed": (1,)},
        {"open": None},
    ],
)
def test_what_is_read_has_the_types_that_are_declared(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"text": "x", "inner": Inner(1), "words": {"a": [Inner(2)]}}
    assert fits(Shape(**right, some=3, listed=("x",), open={"a": object()}), Shape)
    assert not fits(Shape(**{**right, **wrong}), Shape)
