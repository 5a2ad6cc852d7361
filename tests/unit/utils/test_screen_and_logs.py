"""What the operator sees and what stays behind."""

from __future__ import annotations

import io
import json
import re
import resource
from pathlib import Path

import pytest

from utils.cli.text_table import table
from utils.config import LoggingConfig
from utils.logger import close_logs, get_logger, set_up_files, set_up_screen
from utils.progress import Display
from utils.telemetry.tasks import Tasks
from utils.wording.masking import mask


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown_on(stream: io.StringIO, *, quiet: bool = False) -> Tasks:
    tasks = Tasks()
    tasks.events.listen(Display(quiet=quiet, color=False, stream=stream))
    return tasks


def test_a_bar_shows_phase_entity_share_counts_rate_and_errors() -> None:
    stream = Terminal()
    with shown_on(stream).task("extract", "buyers", 1250) as task:
        task.advance(1250, errors=2)
    shown = stream.getvalue().split("\r")[-1]
    assert re.search(
        r"\[Extract\] Buyers: █+ 100% \(1,250/1,250\) [\d:, ]+ records/s, 2 errors", shown
    )


def test_without_a_terminal_there_are_plain_lines() -> None:
    stream = io.StringIO()
    with shown_on(stream).task("load", "sales", 4, unit="items") as task:
        task.advance(3, errors=1)
    assert re.fullmatch(
        r"\[Load\] Sales: 75% \(3/4\) \d+\.\d s, [\d,]+ items/s, 1 error\n", stream.getvalue()
    )


def test_quiet_progress_says_nothing() -> None:
    stream = Terminal()
    with shown_on(stream, quiet=True).task("load", "sales", 4) as task:
        task.advance(4)
    assert stream.getvalue() == ""


def test_the_screen_gets_lines_and_the_files_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, errors = tmp_path / "migration.log", tmp_path / "migration_errors.log"
    set_up_screen(LoggingConfig(), verbose=False, quiet=False, color=False)
    set_up_files(LoggingConfig(), log, errors, "7f3a")
    get_logger().debug("not told")
    get_logger().info("Extracted %d %s", 1250, "buyers")
    get_logger().error("lost", extra={"context": {"remedy": "find it"}})
    get_logger().error("only written", extra={"files_only": True})
    close_logs()
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - INFO - Extracted 1250 buyers", lines[0])
    assert [line.partition(" - ")[2] for line in lines[1:]] == ["ERROR - lost"]
    written = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["message"] for entry in written] == [
        "Extracted 1250 buyers",
        "lost",
        "only written",
    ]
    assert {entry["runId"] for entry in written} == {"7f3a"}
    failed = [json.loads(line) for line in errors.read_text().splitlines()]
    assert [entry["message"] for entry in failed] == ["lost", "only written"]
    assert failed[0]["remedy"] == "find it"


def test_a_full_log_file_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log, errors = tmp_path / "migration.log", tmp_path / "migration_errors.log"
    config = LoggingConfig(console=False, max_file_size=0.001, kept_files=2)
    set_up_screen(config, verbose=False, quiet=False, color=False)
    set_up_files(config, log, errors, "7f3a")
    for number in range(40):
        get_logger().error("è %d \udcff", number)  # bytes count, not letters
    close_logs()
    for path in (log, errors):
        kept = [path.with_name(f"{path.name}.2"), path.with_name(f"{path.name}.1"), path]
        lines = [json.loads(line) for each in kept for line in each.read_text().splitlines()]
        told = [int(line["message"].split()[1]) for line in lines]
        assert told == list(range(told[0], 40)), "in their order, none of them lost in between"
        assert all(0 < each.stat().st_size <= 1000 for each in kept)
        assert all(each.stat().st_mode & 0o777 == 0o600 for each in kept)
        assert not path.with_name(f"{path.name}.3").exists()


def test_a_log_file_that_cannot_be_put_aside_is_continued(tmp_path: Path) -> None:
    log, errors = tmp_path / "migration.log", tmp_path / "migration_errors.log"
    (tmp_path / "migration.log.1").mkdir()
    config = LoggingConfig(console=False, max_file_size=0.001, kept_files=1)
    set_up_screen(config, verbose=False, quiet=False, color=False)
    set_up_files(config, log, errors, "7f3a")
    for number in range(40):
        get_logger().info("message %d", number)
    close_logs()
    written = [json.loads(line)["message"] for line in log.read_text().splitlines()]
    assert written == [f"message {number}" for number in range(40)]


def test_a_full_disk_costs_log_lines_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = LoggingConfig(console=False, max_file_size=0.001)
    set_up_screen(config, verbose=False, quiet=False, color=False)
    set_up_files(config, tmp_path / "log", tmp_path / "errors", "7f3a")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, most))
    try:
        for number in range(100):
            get_logger().error("message %d", number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    get_logger().error("there is room again")
    close_logs()
    assert capsys.readouterr() == ("", "")
    assert "there is room again" in (tmp_path / "log").read_text()


def test_verbose_and_quiet_win_over_the_configured_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_screen(LoggingConfig(level="INFO"), verbose=True, quiet=False, color=False)
    get_logger().debug("a detail")
    set_up_screen(LoggingConfig(level="INFO"), verbose=False, quiet=True, color=False)
    get_logger().warning("a warning")
    get_logger().error("an error")
    close_logs()
    shown = capsys.readouterr().err
    assert "a detail" in shown
    assert "a warning" not in shown
    assert "an error" in shown


def test_a_mask_hides_the_value_and_lets_it_be_recognised() -> None:
    assert mask(" Rossi S.p.A. ") == mask("Rossi S.p.A.")
    assert mask("ROSSI S.P.A.").partition("~")[2] == mask("Rossi S.p.A.").partition("~")[2]
    assert mask("01234567890") != mask("01234567891")
    assert "234567" not in mask("01234567890")


def test_a_table_lines_its_figures_up() -> None:
    assert table(["", "n"], [["a", 1], ["bb", 1234], ["c", None]]).splitlines() == [
        "        n",
        "---------",
        "a       1",
        "bb  1,234",
        "c       -",
    ]
