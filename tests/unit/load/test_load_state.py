"""What is known of the bytes of a file: those that may have been sent, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from load import load_state
from load.load_state import LoadState

SIZE = 60
RANGES = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(1, 20)).map(lambda each: (each[0], sum(each))),
    max_size=6,
)


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_state, "_AHEAD", 5)


def state_in(directory: Path) -> LoadState:
    return LoadState(directory / "sales.json", "run", "sha", "settings")


@pytest.mark.usefixtures("near")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=RANGES, untried=RANGES)
def test_what_was_sent_is_known_on_disk_but_for_what_was_not_tried(
    tmp_path: Path, sent: list[tuple[int, int]], untried: list[tuple[int, int]]
) -> None:
    state = state_in(tmp_path)
    state.save()
    for start, end in sent:
        state.about_to_send(start, end)
    before = {place for place in range(SIZE) if state.may_be_sent(place)}
    assert before >= {place for start, end in sent for place in range(start, min(end, SIZE))}
    state.was_not_sent(untried)
    again = LoadState.load(state.path)
    assert again is not None
    left = {place for place in range(SIZE) if again.may_be_sent(place)}
    assert left == before - {place for start, end in untried for place in range(start, end)}


def test_what_is_ahead_costs_no_sync_of_its_own(tmp_path: Path) -> None:
    state = state_in(tmp_path)
    state.about_to_send(0, 1 << 20)
    written = state.path.stat().st_mtime_ns
    state.about_to_send(1 << 20, 2 << 20)
    assert state.path.stat().st_mtime_ns == written
    assert state.may_be_sent((2 << 20) - 1)
