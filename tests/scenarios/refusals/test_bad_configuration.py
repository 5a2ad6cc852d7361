"""A configuration or a command line that is wrong: said at once, before anything is connected."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import SCRIPT, Operator, small_trade


def test_without_a_configuration_file_the_next_step_is_named(operator: Operator) -> None:
    outcome = operator.run("--full", configured=False)
    outcome.failed(2, "no configuration file config.json", "config.json.example", "--config")
    assert not operator.data.exists()


@pytest.mark.parametrize("text", ['{"source": {"host": "db",}}', "[]"])
def test_broken_json_is_located(operator: Operator, text: str) -> None:
    (operator.directory / "broken.json").write_text(text)
    operator.run("--full", "--config", "broken.json").failed(2, "broken.json")
    assert not operator.data.exists()


def test_all_mistakes_are_told_at_once_and_no_value_of_a_variable(operator: Operator) -> None:
    operator.configure(
        source={"port": "${S9_PORT}", "hostname": "db", "timezone": "Europe/Roma"},
        migration={"batchSize": 26},
        target={"region": "${S9_REGION}"},
    )
    operator.environment["S9_PORT"] = "my-secret-port"
    outcome = operator.run("--full").failed(
        2,
        "5 mistakes",
        "source.port",
        'source.hostname: there is no such setting; did you mean "host"?',
        "source.timezone",
        "migration.batchSize: 26 must be at most 25",
        "the environment variable S9_REGION is not set",
    )
    assert "my-secret-port" not in outcome.output
    assert not operator.data.exists()


def test_two_entities_cannot_have_one_table(operator: Operator) -> None:
    operator.configure(target={"buyersTable": operator.config["target"]["salesTable"]})
    operator.run("--full").failed(2, "target.buyersTable", "target.salesTable")
    assert not operator.data.exists()


def test_a_dot_env_that_is_no_text_is_told(operator: Operator) -> None:
    (operator.directory / ".env").write_bytes("S9_PASSWORD=però\n".encode("latin-1"))
    operator.run("--full").failed(2, ".env", "UTF-8")


def test_variables_are_read_from_dot_env(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    password = alone.environment.pop("S9_PASSWORD")
    (alone.directory / ".env").write_text(f"S9_PASSWORD={password}\n")
    alone.run("--phase", "extract").ended(0)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--phase all",
        "--full --phase load",
        "--full --entity sales",
        "--dry-run --resume",
        "--full --repair",
        "--phase load --repair-extra",
        "--phase verify --dry-run",
    ],
)
def test_a_wrong_command_line_is_a_usage_error(operator: Operator, arguments: str) -> None:
    outcome = operator.run(*arguments.split()).ended(2)
    assert "Usage: " in outcome.stderr
    assert "Error: " in outcome.stderr
    assert not operator.data.exists()


def test_full_and_resume_together_are_refused_or_mean_resume(operator: Operator) -> None:
    """Both at once must not start anew silently."""
    operator.run("--full", "--resume").ended(2)


def test_a_data_directory_belongs_to_one_source_and_one_target(after_a_run: Operator) -> None:
    files = after_a_run.files()
    for section, change in (
        ("source", {"database": "other"}),
        ("target", {"region": "eu-south-1"}),
    ):
        before = dict(after_a_run.config[section])
        after_a_run.configure(**{section: change})
        after_a_run.run("--full").failed(2, f"another {section}", "data.directory")
        after_a_run.config[section] = before
    assert after_a_run.files() == files


def test_what_nobody_has_foreseen_is_one_line_too(operator: Operator) -> None:
    program = (
        "import sys, utils.settings.config_file as f, migrate\n"
        "f.load_config = lambda *_: 1 / 0\n"
        "sys.argv = ['migrate.py', '--full']\n"
        "migrate.cli()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=operator.directory,
        env={**operator.environment, "PYTHONPATH": str(SCRIPT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Error: an unexpected ZeroDivisionError" in done.stderr
    assert "What to do: " in done.stderr
    assert "Traceback" not in done.stderr


def test_files_that_others_can_read_and_a_password_in_clear_are_warned_of(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    password = alone.environment.pop("S9_PASSWORD")
    (alone.directory / ".env").write_text(f"S9_PASSWORD={password}\n")
    (alone.directory / ".env").chmod(0o644)
    alone.write_config()
    (alone.directory / "config.json").chmod(0o640)
    alone.configure(source={"password": f"${{S9_PASSWORD:-{password}}}"})

    outcome = alone.run("--phase", "extract").ended(0)

    assert "Warning: config.json can be read by others (mode 640): chmod 600" in outcome.stderr
    assert "Warning: .env can be read by others (mode 644)" in outcome.stderr
    assert "Warning: config.json holds source.password in clear" in outcome.stderr
    alone.assert_keeps_its_secrets(outcome)
    assert "Warning" not in alone.run("--phase", "extract", "--quiet").ended(0).stderr


def test_private_files_without_secrets_are_not_warned_of(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    (alone.directory / ".env").touch(mode=0o600)
    assert "Warning" not in alone.run("--phase", "extract").ended(0).output
