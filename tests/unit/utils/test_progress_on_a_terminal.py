"""The screen on a real pseudo terminal: drawn by the clock, in the width that there is."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.operators.pseudo_terminal import PseudoTerminal
from tests.support.places import ROOT

AT_WORK = """
import sys, time
from utils.run.lifecycle import Screen
from utils.progress import Display
from utils.telemetry.events import Throttled
from utils.telemetry.tasks import Tasks
from utils.wording import terminal

with terminal.use():
    tasks = Tasks()
    with Display(color=True) as display:
        tasks.events.listen(display)
        with tasks.task("load", "sales", 4000, unit="items") as task:
            for _ in range(10):
                time.sleep(0.1)
                task.advance(100)
            print("something else is said")
            tasks.events.emit(
                Throttled(step=task.step, by="GSI4-QueryByDate", reason="busy", seconds=2.1)
            )
            time.sleep(2)  # nobody tells anything
            task.advance(3000)
        with tasks.task("load", "", 3, unit="tables", step="a part") as task:
            task.advance(3)
    print("over")
"""
COMMAND = (sys.executable, "-c", AT_WORK)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def test_bars_are_drawn_by_the_clock_in_whatever_width_with_colours() -> None:
    terminal = PseudoTerminal(columns=130)
    terminal.then = [("something else", lambda it: it.resize(90))]
    assert terminal.run(COMMAND, ROOT, ENVIRONMENT) == 0
    drawn = terminal.drawn("[Load] Sales: ")
    assert any("left, " in state and "items/s, 0 errors" in state for state in drawn)
    throttled = [state for state in drawn if "throttled by GSI4-QueryByDate, 2.1 s" in state]
    assert len(throttled) >= 3  # the thread goes on drawing while nothing is told
    assert max(map(len, drawn)) > 90
    assert max(map(len, throttled[1:])) < 90  # the first may have been drawn before
    assert "\x1b[36m█" in terminal.shown and "\x1b[33m█" in terminal.shown
    assert terminal.lines[0] == "something else is said"
    assert terminal.lines[1].startswith("[Load] Sales: ██")
    assert "100% (4,000/4,000)" in terminal.lines[1]
    assert terminal.lines[2:] == ["over", ""]


def test_in_a_pipe_there_is_a_line_for_the_step_and_nothing_drawn() -> None:
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("[Load] Sales: 100% (4,000/4,000) ")
    assert line.endswith("items/s, 0 errors, throttled by GSI4-QueryByDate, 2.1 s")
    assert "\x1b" not in done.stderr + done.stdout
