"""Parts are dealt out to tasks, so that each has about as much to do."""

from __future__ import annotations

from itertools import chain

import pytest

from utils.dynamodb.scan_segments import pieces_of
from utils.fleet.fleet import dealt


@pytest.mark.parametrize("parts", [0, 1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("tasks", [1, 2, 8])
def test_every_part_is_done_once_and_no_task_has_nothing_to_do(parts: int, tasks: int) -> None:
    found = dealt(range(parts), tasks)
    assert sorted(chain.from_iterable(found)) == [*range(parts)]
    assert len(found) == min(tasks, parts)
    assert all(found)


@pytest.mark.parametrize("segments", [46, 245, 2_000, 24_500])
@pytest.mark.parametrize("processes", [2, 4, 16])
def test_the_pieces_of_a_scan_are_dealt_out_evenly(segments: int, processes: int) -> None:
    shares = [
        sum(map(len, pieces)) for pieces in dealt([*pieces_of(segments, processes)], processes)
    ]
    assert max(shares) <= 1.5 * segments / processes + 4
