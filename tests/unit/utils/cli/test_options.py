"""What is typed means the same wherever it stands, and nothing that is typed is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from load.backup import backup_command
from load.rollback import rollback_command
from migrate import cli
from utils.cli.choice import Duration
from utils.cli.command_line import Caller
from utils.error_handler import ExitCode
from utils.run.lifecycle import Screen
from utils.wording import invocation


@pytest.fixture(autouse=True)
def _called_by_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    before = replace(invocation.state())
    monkeypatch.chdir(tmp_path)
    yield
    invocation.restore(before)


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> list[Caller]:
    """Those who have called `backup` or `backups`, which do nothing."""
    found: list[Caller] = []

    def notes(caller: Caller, *_: object) -> ExitCode:
        found.append(caller)
        return ExitCode.DONE

    monkeypatch.setattr(backup_command, "_back_up_all", notes)
    monkeypatch.setattr(backup_command, "_list_all", notes)
    return found


def typed(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), prog_name="migrate.py")


@pytest.mark.parametrize(
    "words",
    [
        "--config c.json --identity k --quiet --verbose --no-color backup",
        "backup --config c.json --identity k --quiet --verbose --no-color",
        "--quiet --identity=k backup --config=c.json --no-color --verbose",
        "--config c.json --quiet backup --identity k --quiet --no-color --verbose --config c.json",
    ],
)
def test_options_of_every_command_stand_before_it_and_after_it(
    words: str, callers: list[Caller]
) -> None:
    assert typed(*words.split()).exit_code == 0
    (caller,) = callers
    assert (caller.config_path, caller.identity) == (Path("c.json"), Path("k"))
    assert caller.screen == Screen(verbose=True, quiet=True, color=False)
    assert invocation.command("rollback") == (
        "python migrate.py --config c.json --identity k rollback"
    )
    assert "c.json" not in invocation.again().replace("--config c.json", "", 1)


def test_without_them_everything_is_as_usual(callers: list[Caller]) -> None:
    assert typed("backups").exit_code == 0
    assert callers[0].config_path == Path("config.json")
    assert callers[0].screen == Screen(verbose=False, quiet=False, color=False)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("--config a backup --config b", "--config"),
        ("--config a --config b backup", "--config"),
        ("backup --identity a --identity=b", "--identity"),
        ("--phase load --phase verify", "--phase"),
        ("--full --config a --config b", "--config"),
        ("demo --sales 1 --sales 2", "--sales"),
        ("clean --directory a --directory b", "--directory"),
    ],
)
def test_an_option_with_two_values_is_refused(words: str, option: str) -> None:
    result = typed(*words.split())
    assert result.exit_code == 2
    assert f"{option} is given 2 times, with different values (" in result.output


def test_what_may_be_repeated_may_be(callers: list[Caller]) -> None:
    assert typed("backup", "--table", "one", "--table", "two").exit_code == 0
    assert callers


@pytest.mark.parametrize("words", ["--dry-run rollback", "rollback --dry-run"])
def test_an_option_of_the_command_that_stands_before_it_is_obeyed(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, bool]] = []

    def notes(_: Caller, **choice: bool) -> ExitCode:
        asked.append(choice)
        return ExitCode.DONE

    monkeypatch.setattr(rollback_command, "_run", notes)
    assert typed(*words.split()).exit_code == 0
    assert asked == [{"dry_run": True, "yes": False}]


@pytest.mark.parametrize("words", ["--full backup", "--phase load backups", "--resume clean"])
def test_an_option_that_does_not_go_with_the_command_is_refused(words: str) -> None:
    result = typed(*words.split())
    assert result.exit_code == 2
    assert "does not go with the command" in result.output


@pytest.mark.parametrize("name", sorted(cli.list_commands(None)))  # type: ignore[arg-type]
def test_every_commands_help_shows_its_own_options_and_those_of_all(name: str) -> None:
    shown = typed(name, "--help").output
    own, _, shared = shown.partition("Options of every command:")
    assert "--help" in own and "--config" not in own
    for option in ("--config", "--identity", "--verbose", "--quiet", "--no-color"):
        assert option in shared
    assert typed(name, "--version").output.startswith("migrate.py ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sync --every 60x", "'60x' is no length of time: 60, 60s, 10m, 1h"),
        ("sync --every -1", "no length of time"),
        ("sync --follow --every 60s", "--every and --follow do not go together: give one of them"),
        ("sync --check --stop", "--check and --stop do not go together"),
        ("sync --dry-run --follow", "--dry-run and --follow do not go together"),
    ],
)
def test_ways_of_a_sync_that_mean_nothing_are_refused(words: str, told: str) -> None:
    result = typed(*words.split())
    assert result.exit_code == ExitCode.USAGE
    assert told in result.output


def test_a_length_of_time_is_in_seconds_or_in_the_unit_that_is_named() -> None:
    convert = Duration().convert
    assert [convert(each, None, None) for each in ("60", "60s", "0", "1.5m", "2h", 7)] == [
        *(60, 60, 0, 90, 7200, 7)
    ]
