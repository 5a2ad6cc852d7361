"""Remembered conversions: the same results, in bounded memory."""

from __future__ import annotations

import pytest

from transform.values.memo import Memo, remembered


def test_a_text_is_converted_once() -> None:
    calls: list[object] = []

    def convert(value: object) -> str:
        calls.append(value)
        return f"<{value}>"

    memory = Memo(convert)
    assert [memory["a"], memory["b"], memory["a"]] == ["<a>", "<b>", "<a>"]
    assert calls == ["a", "b"]


def test_memory_is_bounded() -> None:
    memory = Memo(str, limit=10)
    for number in range(1000):
        assert memory[str(number)] == str(number)
        assert len(memory) <= 10


def test_values_that_only_look_equal_are_kept_apart() -> None:
    kind = remembered(lambda value: type(value).__name__)
    assert [kind(value) for value in (1, True, 1.0, "1", None, 1)] == [
        *("int", "bool", "float", "str", "NoneType", "int"),
    ]


def test_a_refusal_is_repeated() -> None:
    convert = remembered(lambda value: int(str(value)))
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            convert("x")
