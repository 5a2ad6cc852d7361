"""`status` beside a run that works, is killed, goes on and ends."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.conftest import S9Database
from tests.support.aws.proxy import FaultyProxy, Gate, Plan
from tests.support.operators.operator import Operator, small_trade
from tests.support.operators.pseudo_terminal import PseudoTerminal
from utils.embedded.aws import EmbeddedAws


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


def seen(operator: Operator, *options: str) -> Any:
    """What `status --json` says."""
    outcome = operator.run("status", "--json", *options).ended(0)
    assert outcome.stderr == ""
    return json.loads(outcome.stdout)


def test_a_run_is_seen_at_work_killed_resumed_and_done(trade: Operator, aws: EmbeddedAws) -> None:
    assert trade.run("status").ended(0).closing == "status-none"
    gate = Gate()
    with FaultyProxy(aws, Plan(always=gate.holds)) as proxy:
        trade.configure(target={"endpoint": proxy.url})
        with trade.start("--full") as running:
            running.wait_for(gate.asked.is_set)
            working, shown = seen(trade), trade.run("status", "--no-color").ended(0)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
        assert (working["state"], working["command"]) == ("running", "full")
        assert working["pid"] == running.process.pid
        assert working["toCome"] == ["verify"]
        loading = working["steps"][-1]
        assert (loading["phase"], loading["state"], loading["done"]) == ("load", "running", 0)
        assert shown.closing == "status-running"
        assert f"(process {running.process.pid})" in shown.stdout

        killed = seen(trade)
        assert (killed["state"], killed["pid"], killed["exitCode"]) == ("stopped", None, None)
        assert "it was killed" in killed["words"]
        assert trade.run("status").ended(0).closing == "status-stopped"
        gate.let.set()
        trade.run(*killed["next"].removeprefix("python migrate.py ").split()).ended(0)
    done = seen(trade)
    assert (done["state"], done["exitCode"], done["command"]) == ("finished", 0, "resume")
    assert trade.run("status").ended(0).last_line == ("It has ended: Done: every record arrived.")


def test_watching_on_a_terminal_ends_with_the_run_or_with_ctrl_c(
    trade: Operator, aws: EmbeddedAws
) -> None:
    gate = Gate()
    with FaultyProxy(aws, Plan(always=gate.holds)) as proxy:
        trade.configure(target={"endpoint": proxy.url})
        with trade.start("--full") as running:
            running.wait_for(gate.asked.is_set)
            interrupted = PseudoTerminal(100)
            interrupted.then = [("is at work in data", PseudoTerminal.press_ctrl_c)]
            watch = trade.command("status", "--watch")
            assert interrupted.run(watch, trade.directory, trade.environment) == 0
            assert running.process.poll() is None
            watching = PseudoTerminal(100)
            watching.then = [("is at work in data", lambda _: gate.let.set())]
            assert watching.run(watch, trade.directory, trade.environment) == 0
            running.end().ended(0)
    assert max(map(len, watching.drawn("[Load] Buyers: "))) < 100
    assert "It has ended: Done: every record arrived." in watching.lines
