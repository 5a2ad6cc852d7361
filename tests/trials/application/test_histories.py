"""Some random histories of a migration with the application at work all the while: the same ones
for everyone (more of them: make torture)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.application.histories import History
from utils.embedded.aws import EmbeddedAws

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("seed", range(6))
def test_no_act_of_the_application_is_undone_and_no_record_is_torn(
    aws: EmbeddedAws, tmp_path: Path, seed: int
) -> None:
    history = History(aws, tmp_path / "data", seed)
    problems = history.play()
    assert not problems, "\n".join([*problems, *history.told])
