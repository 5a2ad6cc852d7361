"""What the tool says to type is typed, and does what it says: on the same configuration, and in a
rehearsal nothing that a rehearsal does not leave behind (trial C24)."""

from __future__ import annotations

import shlex

from tests.conftest import S9Database
from tests.support.operators.operator import Operator, Outcome, small_trade

ELSEWHERE = "s9 elsewhere.json"


def said(outcome: Outcome) -> list[str]:
    """The words of the last command that was said."""
    _, program, words = outcome.output.rpartition("python migrate.py ")
    assert program, outcome.output
    return shlex.split(words.partition("\n")[0])


def elsewhere(alone: Operator) -> Operator:
    """An operator whose config.json is unusable and whose real one lies elsewhere."""
    alone.write_config()
    (alone.directory / "config.json").rename(alone.directory / ELSEWHERE)
    (alone.directory / "config.json").write_text("{}")
    return alone


def test_what_is_said_to_type_works_on_another_configuration(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    tool = elsewhere(alone)
    words = ["--dry-run", "--config", ELSEWHERE]
    for expected in ("--full", None):
        outcome = tool.run(*words, configured=False).ended(0)
        if expected:
            words = said(outcome)
            assert words == ["--config", ELSEWHERE, expected]
    # A command of its own takes the file before its name: after it, it would be refused.
    refused = tool.run("--config", ELSEWHERE, "rollback", configured=False).failed(2)
    assert said(refused) == ["--config", ELSEWHERE, "rollback", "--yes"]
    undone = tool.run(*said(refused), configured=False).ended(0)
    assert said(undone) == ["--config", ELSEWHERE, "--full"]
    tool.run(*said(undone), configured=False).ended(0)


def test_a_rehearsal_that_stops_is_typed_again(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.configure(target={"endpoint": "http://127.0.0.1:9"}, migration={"maxRetries": 0})
    outcome = alone.run("--dry-run").ended(1)
    assert "--resume" not in outcome.output


def test_an_error_of_s9_in_a_rehearsal_says_dry_run(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    s9.execute("ALTER TABLE msg_anag RENAME TO elsewhere")
    outcome = alone.run("--dry-run")
    assert outcome.code in (1, 2)
    assert "--resume" not in outcome.output
