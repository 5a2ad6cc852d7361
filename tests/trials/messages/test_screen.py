"""The screen: it decides nothing (C10), and nothing from outside reaches it raw (C16)."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import click
import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import Operator, insert, line, party, sale, small_trade
from tests.support.places import ROOT
from utils.config import LoggingConfig
from utils.error_handler import ExitCode
from utils.logger import close_logs, get_logger, set_up_screen
from utils.wording import terminal
from utils.wording.terminal import indented, printable

FULL = "/dev/full"


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


def typed(operator: Operator, redirected: str, *arguments: str) -> int:
    """The exit code of a command whose output goes where a shell says."""
    operator.write_config()
    words = " ".join(operator.command(*arguments))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} {redirected}"],
        cwd=operator.directory,
        env=operator.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode


@pytest.mark.parametrize(
    "redirected",
    [
        "2>&1 | head -n 1",
        f">{FULL} 2>{FULL}",
        ">&- 2>&- <&-",
    ],
)
def test_a_screen_that_goes_away_ends_no_run(trade: Operator, redirected: str) -> None:
    assert typed(trade, redirected, "--full") == ExitCode.DONE
    assert trade.manifest()["outcome"] == ExitCode.DONE
    assert trade.report("verification")["passed"]


def test_an_error_has_its_exit_code_though_nobody_reads_it(trade: Operator) -> None:
    trade.configure(target={"region": ""})
    for redirected in ("2>&1 | true", f">{FULL} 2>{FULL}", ">&- 2>&-"):
        assert typed(trade, redirected, "--full") == ExitCode.USAGE


@pytest.mark.parametrize("redirected", [f">{FULL}", "| true", ">&-"])
def test_help_and_usage_too(operator: Operator, redirected: str) -> None:
    assert typed(operator, redirected, "--help") == 0
    assert typed(operator, redirected, "--nonsense") == ExitCode.USAGE


def test_files_are_not_taken_for_a_closed_screen(trade: Operator) -> None:
    """The first file that a process opens without a screen gets the screen's number."""
    assert typed(trade, ">&- 2>&- <&-", "--phase", "extract") == ExitCode.DONE
    assert b"100%" not in (trade.data / "manifest.json").read_bytes()
    assert (trade.data / ".lock").read_bytes().count(b"\n") == 1


def test_characters_that_a_screen_lacks_end_nothing(trade: Operator) -> None:
    trade.environment["PYTHONIOENCODING"] = "ascii:strict"
    trade.configure(target={"region": "è…"})
    trade.run("--full").failed(2, "target.region")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\rb", "a\\rb"),
        ("a\x9b31mb\x7f\x00", "a\\x9b31mb\\x7f\\x00"),
        ("a\u202eb\u2066\u200f", "a\\u202eb\\u2066\\u200f"),
        ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
        ("\udcff", "\\udcff"),
        ("Società à l'œuvre – 会社 😀\n\tx", "Società à l'œuvre – 会社 😀\n\tx"),
    ],
)
def test_what_is_not_to_be_seen_is_spelled(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_break_makes_no_line_of_the_tool() -> None:
    assert indented("a\nWhat to do: b") == "a\n  What to do: b"


def test_whoever_writes_and_however_it_is_printable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.use():
        click.echo("a\x1b[1mb", color=True)
        sys.stderr.write("c\x9bd\n")
        set_up_screen(LoggingConfig(), verbose=False, quiet=False, color=True)
        get_logger().error("Column %s", "e\x1b[2J\n2026-01-01 00:00:00 - INFO - Done")
        close_logs()
    lines = screen.getvalue().splitlines()
    assert lines[:2] == ["a\\x1b[1mb", "c\\x9bd"]
    assert lines[2].startswith("\x1b[31m")  # which is the tool's own
    assert lines[2].endswith("Column e\\x1b[2J")
    assert lines[3].startswith("  2026")


def test_names_of_columns_and_words_of_servers_reach_the_screen_printable(
    alone: Operator, s9: S9Database
) -> None:
    insert(s9, "msg_anag", party(1, 2), party(3, 1))
    insert(s9, "msg", sale(10, 1, 3))
    insert(s9, "msg_line", line(1, 10))
    s9.execute('ALTER TABLE msg ADD COLUMN "a\x1b]0;b\rc\x9b\u202e" int DEFAULT 1')
    outcomes = [alone.run("--full", "--verbose").ended(0)]
    alone.configure(extraction={"sales": {"where": '"no\x1b[31m column\u202e" = 1'}})
    outcomes.append(alone.run("--full").ended(1))
    s9.execute('ALTER TABLE msg RENAME COLUMN sale_date TO "sale\x1b_date"')
    outcomes.append(alone.run("--phase", "extract"))
    for outcome in outcomes:
        assert not [mark for mark in "\x1b\r\x9b\u202e" if mark in outcome.output]


def test_a_signal_is_heeded_when_there_is_no_screen_to_say_so(trade: Operator) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from utils.interrupt import Interrupted, StopFlag\n"
        "flag = StopFlag(); flag.install(); os.close(2)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "try:\n    flag.sleep(30)\nexcept Interrupted:\n    os._exit(42)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 42
