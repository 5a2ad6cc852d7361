"""What is on the screen: plain lines where there is no terminal, as much as was asked for."""

from __future__ import annotations

import re

import pytest

from tests.conftest import S9Database, Sample
from tests.support.aws.proxy import FaultyProxy, Plan, throttled
from tests.support.operators.operator import Operator, small_trade
from tests.support.operators.pseudo_terminal import PseudoTerminal, on_a_terminal
from utils.embedded.aws import EmbeddedAws

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - (DEBUG|INFO|WARNING|ERROR) - .+")
PROGRESS = re.compile(
    r"\[(Extract|Transform|Validate|Load|Verify)\] ((Buyers|Producers|Sales)(, .+)?|[A-Z].+): .+|"
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
    steps = [line for line in outcome.stderr.splitlines() if PROGRESS.fullmatch(line)]
    assert len([line for line in steps if "," not in line.partition(":")[0]]) == 18
    assert "[Extract] Buyers: 100% (60/60)" in outcome.stderr
    for name in ("Extracted", "Transformed", "Loaded", "Backed up"):  # one line an entity, not two
        assert f" - INFO - {name}" not in outcome.stderr
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
    plain = re.sub(r"\x1b\[[0-9;]*m", "", outcome.stdout)
    assert re.search(r"\[Extract\] Buyers: █+ 100% \(2/2\)", plain)
    assert "\r" in outcome.stdout
    for name in ("Buyers", "Producers", "Sales"):  # one line an entity
        assert len(re.findall(rf"\[Extract\] {name}: [^\r\n]*\r?\n", plain)) == 1


def test_no_color_means_no_colour(trade: Operator, s9: S9Database) -> None:
    s9.execute("ALTER TABLE msg ADD COLUMN colour text")  # worth a warning, which has a colour
    yellow, green = "\x1b[33m", "\x1b[32m"
    coloured = on_a_terminal(trade, "--phase", "extract").stdout
    assert yellow in coloured and green in coloured
    assert "\x1b" not in on_a_terminal(trade, "--phase", "extract", "--no-color").stdout
    trade.environment["NO_COLOR"] = "1"
    assert "\x1b" not in on_a_terminal(trade, "--phase", "extract").stdout


def test_what_throttles_is_on_the_bar_while_it_does(trade: Operator, aws: EmbeddedAws) -> None:
    with FaultyProxy(aws, Plan({throttled: 1.0}, most=3)) as proxy:
        trade.configure(target={"endpoint": proxy.url})
        trade.write_config()
        terminal = PseudoTerminal(130)
        assert terminal.run(trade.command("--full"), trade.directory, trade.environment) == 0
    drawn = terminal.drawn("[Load] Buyers: ")
    assert any("0% (0/2)" in line and "throttled by GSI1" in line for line in drawn)
    assert re.search(r"100% \(2/2\) .*, 3 retries, throttled by GSI1, \d\.\d s$", drawn[-1])
    shown = "\n".join(terminal.lines)
    (load,) = re.findall(r"^Load  .*$", shown, re.MULTILINE)
    retries, write_units = load.split()[-3:-1]
    report = trade.report("load")["entities"].values()
    assert int(retries) == 3
    assert int(write_units) == round(sum(each["consumedWriteUnits"] for each in report)) > 0
    assert "Price: less than 0.0001 USD on demand (prices of us-east-1, " in shown
