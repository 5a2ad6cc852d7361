"""A command that is forked from the nursery ends as one that an interpreter was started for: what
holds of the first in all other tests holds of what an operator types."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from tests.conftest import S9Database
from tests.support.faults.sabotage import SabotagedOperator, shared
from tests.support.operators.helpers import helpers, within
from tests.support.operators.operator import Operator, Outcome, small_trade
from tests.support.operators.pseudo_terminal import on_a_terminal

_TIMES = re.compile(r"\d+(\.\d+)? s\b|[\d,]+ (records|items)/s|\d{4}-\d\d-\d\d[T ][\d:]+Z?")


def alike(outcome: Outcome) -> tuple[int, str, str]:
    """What is the same whenever a command is typed."""
    return outcome.code, _TIMES.sub("…", outcome.stdout), _TIMES.sub("…", outcome.stderr)


@pytest.mark.parametrize(
    "words", ["--version", "nonsense", "--phase transform", "--phase extract", "status --json"]
)
def test_it_ends_as_with_an_interpreter_of_its_own(
    words: str, alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    typed = words.split()
    with alone.start(*typed, anew=True) as started:
        expected = alike(started.end())
    with alone.start(*typed) as forked:
        assert alike(forked.end()) == expected
    assert alike(alone.run(*typed)) == expected


def test_on_a_terminal_it_sees_the_terminal(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    shown = on_a_terminal(alone, "--phase", "extract")
    assert shown.code == 0
    assert "\x1b[" in shown.stdout


def test_it_can_be_waited_for_stopped_and_killed_with_all_that_it_has_started(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    tool = shared(SabotagedOperator.like(alone))
    with tool.held("--full", phase="load", entity="sales", what="step", after=1) as running:
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.05)
        with pytest.raises(subprocess.TimeoutExpired):
            running.end(0.05)
        assert running.process.poll() is None
        started = helpers(running)
        assert started
        running.process.kill()
        assert running.process.wait(10) == -signal.SIGKILL
        assert running.process.poll() == running.end().code == -signal.SIGKILL
        assert within(30, lambda: not helpers(running))
    tool.let_go()
    tool.run("--resume").ended(0)
