"""Three hundred random histories of a migration with the application at work all the while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.application.desk import one_session
from tests.support.application.histories import History
from utils.embedded.aws import EmbeddedAws

HISTORIES = 300


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    with one_session():
        yield


@pytest.mark.parametrize("number", range(HISTORIES))
def test_no_act_of_the_application_is_undone_and_no_record_is_torn(
    aws: EmbeddedAws, tmp_path: Path, seed: int, number: int
) -> None:
    history = History(aws, tmp_path / "data", seed * 1000 + number)
    problems = history.play()
    assert not problems, "\n".join([*problems, *history.told])
