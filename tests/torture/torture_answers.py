"""A thousand answers of DynamoDB that are not what they should be: tests/support/aws/answers.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws.answers import Stage, all_cases, chosen, play_all, the_stage
from utils.embedded.aws import EmbeddedAws

CASES, ROUNDS = 1_200, 12


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with EmbeddedAws() as aws:
        yield the_stage(aws.endpoint_url, tmp_path_factory.mktemp("answers"))


@pytest.mark.parametrize("part", range(ROUNDS))
def test_whatever_is_answered_the_result_is_right_or_an_error_says_what_to_do(
    stage: Stage, part: int, seed: int
) -> None:
    cases = chosen(all_cases(stage), CASES, seed)
    problems = play_all(stage, cases[part::ROUNDS])
    assert not problems, f"{len(problems)}:\n" + "\n".join(problems)
