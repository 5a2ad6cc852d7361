"""Sentences that were garbled, or said what cannot be done (trial C29)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.operators.operator import Operator, Outcome
from tests.support.operators.operator import environment as bare_environment
from utils.wording.masking import scrub


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("${NOPE}", "source.password: the environment variable NOPE is not set"),
        (12345678, "source.password: the value must be a text"),
    ],
)
def test_a_mistake_in_the_password_s_setting_is_told_whole(
    tmp_path: Path, value: object, sentence: str
) -> None:
    tool = Operator(tmp_path, {"source": {"password": value}}, bare_environment(tmp_path / "home"))
    outcome = tool.run("--full").failed(2, sentence)
    assert "***" not in outcome.output
    assert "12345678" not in outcome.output


@pytest.mark.parametrize(
    "text", ["password: hunter2x", "source.password=hunter2x", 'password="hunter2x"']
)
def test_what_others_say_of_a_password_is_still_taken_out(text: str) -> None:
    assert "hunter2x" not in scrub(text)


def test_a_demonstration_advises_nothing_that_needs_its_servers(tmp_path: Path) -> None:
    elsewhere = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "AWS_PROFILE": "of-my-work",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": "/missing.pem",
        "PGSERVICE": "of-my-work",
    }
    tool = Operator(tmp_path, {}, bare_environment(tmp_path / "home", **elsewhere))
    outcome: Outcome = tool.run(
        "demo", "--buyers", "20", "--producers", "10", "--sales", "40", configured=False
    ).ended(0)
    assert "retry-quarantine" not in outcome.output
    assert "--resume" not in outcome.output
    assert "records are in data/demo/quarantine" in outcome.output
