"""Figures in sentences: "1 item stays", "1,250 items stay". A figure and its noun are written here
and nowhere else."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number with what it counts: `one` after 1, else `many` (by default `one` with an s). Both
    may have a verb with them."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


class Figure(int):
    """A number that a template can ask for its words: `{items:item is|items are}`, `{items:item}`;
    without them it has its commas."""

    def __format__(self, words: str) -> str:
        return counted(int(self), *words.split("|", 1)) if words else f"{int(self):,}"
