"""Telling the tables that the Sale Module owns the data, and that it does no more."""

from __future__ import annotations

from collections.abc import Sequence

from load.target.switch_mark import Switched
from load.target.writer_mark import holding, host, marks_on
from utils.run.session import AtWork


def mark_switched(work: AtWork, tables: Sequence[str], cutover: str, at: str) -> None:
    """The tables say from now on that a cut-over has switched at some moment. To be repeated when
    it fails midway. Raises TargetError when somebody is writing to one of them, ConfigurationError
    when another cut-over has switched already."""
    switched = Switched(at, cutover, host())
    with holding(work, tables, "the switch", lambda found: found.cutover == cutover) as marks:
        for mark in marks:
            mark.rest(switched)


def unmark_switched(work: AtWork, tables: Sequence[str], cutover: str) -> list[str]:
    """The tables say no more that this cut-over has switched; returns in words which ones another
    has switched: they go on saying that. Raises TargetError when somebody is writing there."""
    left = []
    told = [table for table, mark in marks_on(work, tables).items() if Switched.in_item(mark)]
    with holding(work, told, "the way back to S9", lambda _: True) as marks:
        for mark in marks:
            if mark.switched is None or mark.switched.cutover == cutover:
                mark.clear()
            else:
                left.append(f"{mark.table} stays as it is: {mark.switched}")
    return left
