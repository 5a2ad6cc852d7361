"""What the conversion of a layout was in doubt about: noted in `legacy`, said here.

An item says under legacy.doubts which columns of S9 could be converted only in a doubtful way, or
not at all: "rule: sentence" for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from validate.rules.catalogue import RULES, Note
from validate.rules.checks import Check

Item = dict[str, Any]


def doubt_notes(items: Sequence[Item]) -> Iterator[Note]:
    """The doubts about the items of a record, all of which conform to their schemas."""
    for position, item in enumerate(items):
        if "legacy" in item:
            prefix = f"lines[{position}]." if position else ""
            for column, sentence in item["legacy"]["M"].get("doubts", {"M": {}})["M"].items():
                yield _note(f"{prefix}legacy.{column}", sentence["S"])


def _note(field: str, text: str) -> Note:
    rule, _, sentence = text.partition(": ")
    if rule in RULES and RULES[rule].group == "layout":
        return Note(field, rule, sentence)
    return Note(field, "doubtful-value", text)


CHECKS = (
    Check(
        frozenset(name for name, rule in RULES.items() if rule.group == "layout"),
        lambda record: doubt_notes(record.items),
    ),
)
