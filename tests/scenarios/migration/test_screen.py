"""What is on the screen: plain lines where there is no terminal, as much as was asked for."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from tests.conftest import S9Database, Sample
from tests.support.operators.operator import Operator, Outcome, small_trade

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - (DEBUG|INFO|WARNING|ERROR) - .+")
PROGRESS = re.compile(
    r"\[(Extract|Transform|Validate|Load|Verify)\] (Buyers|Producers|Sales): .+|"
    r"\[Backup\] Done-(Buyers|Producers|Sales): .+"
)


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


def test_without_a_terminal_there_are_plain_lines(finished: Operator, sample: Sample) -> None:
    outcome = finished.outcomes[0]
    assert "\r" not in outcome.output
    assert "\x1b" not in outcome.output
    for line in outcome.stderr.splitlines():
        assert LINE.fullmatch(line) or PROGRESS.fullmatch(line), line
    assert len(PROGRESS.findall(outcome.stderr)) == 18
    assert "[Extract] Buyers: 100% (60/60)" in outcome.stderr
    assert " - INFO - Extracted 60 buyers" in outcome.stderr
    (sales,) = re.findall(r"^Sales .*$", outcome.stdout, re.MULTILINE)
    figures = sales.split()
    wanted, refused = sample.report.size.sales, len(sample.report.quarantined("sales"))
    for figure, times in (
        (wanted, 2),  # in S9, extracted
        (wanted - refused, 1),
        (refused, 1),
        (len(finished.items("sales")), 2),  # loaded, in the target
    ):
        assert figures.count(f"{figure:,}") == times
    assert outcome.last_line.endswith("python migrate.py retry-quarantine")


def test_quiet_tells_the_outcome_only_and_verbose_more_than_usual(trade: Operator) -> None:
    usual = trade.run("--phase", "extract").ended(0)
    quiet = trade.run("--phase", "extract", "--quiet").ended(0)
    assert quiet.stderr == ""
    assert quiet.last_line == usual.last_line
    verbose = trade.run("--phase", "extract", "--verbose").ended(0)
    assert len(verbose.stderr.splitlines()) > len(usual.stderr.splitlines())
    assert " - DEBUG - " in verbose.stderr


def test_quiet_still_tells_errors(trade: Operator) -> None:
    outcome = trade.run("--phase", "transform", "--quiet").failed(1, "--phase extract")
    assert outcome.stdout == ""


def test_on_a_terminal_there_are_bars(trade: Operator) -> None:
    outcome = on_a_terminal(trade, "--phase", "extract")
    assert outcome.code == 0
    assert re.search(r"\[Extract\] Buyers: █+ 100% \(2/2\)", outcome.stdout)
    assert "\r" in outcome.stdout


def test_no_color_means_no_colour(trade: Operator, s9: S9Database) -> None:
    s9.execute("ALTER TABLE msg ADD COLUMN colour text")  # worth a warning, which has a colour
    yellow = "\x1b[33m"
    assert yellow in on_a_terminal(trade, "--phase", "extract").stdout
    assert yellow not in on_a_terminal(trade, "--phase", "extract", "--no-color").stdout


def on_a_terminal(operator: Operator, *arguments: str) -> Outcome:
    """Run a command on a pseudo terminal; everything it shows is in `stdout`."""
    operator.write_config()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        operator.command(*arguments),
        cwd=operator.directory,
        env={**operator.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:
        pass  # how Linux says that the other side is closed
    finally:
        os.close(ours)
    return Outcome(process.wait(60), shown.decode(), "")
