"""Plain text tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], groups: Sequence[str] = ()
) -> str:
    """A table with the first column to the left and the others, figures, to the right. `groups`
    has a word for each column: one that neighbours share stands above them."""
    cells = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    above = [_grouped(groups, widths)] if groups else []
    return "\n".join([*above, lines[0], "-" * len(lines[0]), *lines[1:]])


def _grouped(groups: Sequence[str], widths: Sequence[int]) -> str:
    """The line above a header: each group's word in the middle of a line over its columns."""
    parts = []
    for word, columns in groupby(zip(groups, widths, strict=True), key=lambda each: each[0]):
        sizes = [width for _, width in columns]
        room = sum(sizes) + 2 * (len(sizes) - 1)
        parts.append(f" {word} ".center(room, "-") if word else " " * room)
    return "  ".join(parts).rstrip()


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
