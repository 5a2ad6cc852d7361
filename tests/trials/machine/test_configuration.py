"""The configuration as operators write it: comments, seconds, whole numbers with a point (trials
C17 and C26)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from utils.cli.command_line import load_settings
from utils.config import Config, MigrationConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.error_handler import ConfigurationError
from utils.settings.commented_json import parsed, without_comments
from utils.settings.config_file import load_config

COMMENTED = r"""// where S9 is
{
  "source": {
    "host": "s9.example.com", // the new one
    /* "port": 6000,
       "database": "old", */
    "database": "a//b/*c*/",
    "username": "me \" // you"
  },
  "target": {"endpoint": "http://localhost:8000" /* moto */},
  "backup": {"recipient": ["age1abc" /* and nobody else */ ]}
  // the end
}
"""


def config_of(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {})


def refusal(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config_of(tmp_path, text, environ)
    assert caught.value.remedy
    return caught.value.message


def test_comments_are_taken_and_texts_stay_as_they_are(tmp_path: Path) -> None:
    config = config_of(tmp_path, COMMENTED)
    assert config.source.host == "s9.example.com"
    assert config.source.port is None
    assert config.source.database == "a//b/*c*/"
    assert config.source.username == 'me " // you'
    assert config.target.endpoint == "http://localhost:8000"
    assert config.backup.recipient == ("age1abc",)


def test_what_is_blanked_keeps_every_character_in_its_place() -> None:
    blank = without_comments(COMMENTED)
    assert len(blank) == len(COMMENTED)
    assert [len(line) for line in blank.split("\n")] == [
        len(line) for line in COMMENTED.split("\n")
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('// one\n{"a": /* x */ nul}', "line 2 column 15"),
        ('{\n"a": 1 /* open\n}', "line 2 column 8"),
        ('{"a": 1,, "b": 2}', "line 1 column 9"),
        ('{"a": [,]}', "line 1 column 8"),
        ("{,}", "line 1 column 2"),
        ('{"a": 1 /* x */,}', "line 1 column"),
        ('{"a": 1} / 2', "line 1 column 10"),
        ("[" * 100_000, "line 1 column 33"),
        ('{"a": "' + "x" * 50, "line 1 column 7"),
    ],
)
def test_a_mistake_is_told_with_the_line_and_column_of_the_file(
    tmp_path: Path, text: str, place: str
) -> None:
    assert place in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"migration": {"retryDelay": NaN}}', "NaN is not a JSON number"),
        ('{"migration": {"retryDelay": 1e999}}', "must be at most"),
        ('{"migration": {"workers": ' + "9" * 10_000 + "}}", "not valid JSON"),
        (r'{"source": {"host": "a\u0000b"}}', "\\u0000"),
        (r'{"source": {"host": "\ud800"}}', "\\ud800"),
        ('{"source": {"hostt": 1, "hostt": 2}}', "stands twice"),
        ('{"migration": {"workers": 4.5}}', "must be a whole number"),
        ('{"migration": {"workers": true}}', "must be a whole number"),
        ('{"extraction": {"sales": {"limit": 1e300}}}', "must be at most"),
    ],
)
def test_values_that_no_setting_takes_are_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_a_huge_wrong_value_is_not_printed_whole(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, '{"source": ["' + "x" * 100_000 + '"]}')) < 1000


def test_a_whole_number_with_a_point_is_that_number(tmp_path: Path) -> None:
    workers = config_of(tmp_path, '{"migration": {"workers": 4.0}}').migration.workers
    assert (workers, type(workers)) == (4, int)


def test_a_variable_that_is_no_text_is_named(tmp_path: Path) -> None:
    text = '{"source": {"host": "${HOST_OF_S9}"}}'
    assert "HOST_OF_S9 is not UTF-8 text" in refusal(tmp_path, text, {"HOST_OF_S9": "a\udcff"})


@pytest.mark.parametrize(("value", "seconds"), [("5", 5), ("0.25", 0.25), ('"${D}"', 1.5)])
def test_the_delay_before_a_retry_is_in_seconds(tmp_path: Path, value: str, seconds: float) -> None:
    config = config_of(tmp_path, f'{{"migration": {{"retryDelay": {value}}}}}', {"D": "1.5"})
    assert RetryPolicy.of(config.migration).bound(1) == seconds


def test_the_usual_delay_is_a_tenth_of_a_second_and_grows_to_twenty() -> None:
    policy = RetryPolicy.of(MigrationConfig())
    assert (policy.bound(1), policy.bound(1000)) == (0.1, 20.0)
    assert RetryPolicy.of(MigrationConfig(retry_delay=45)).bound(3) == 45


@pytest.mark.parametrize(("delay", "asked"), [(60, False), (61, True), (100, True)])
def test_a_delay_of_more_than_a_minute_is_questioned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    delay: int,
    asked: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.json"
    path.touch(0o600)
    path.write_text(f'{{"migration": {{"retryDelay": {delay}}}}}')
    assert load_settings(path).migration.retry_delay == delay
    question = f"migration.retryDelay is {delay} seconds: were milliseconds meant?"
    assert (question in capsys.readouterr().err) is asked


@pytest.mark.parametrize("content", [b"A=1\0\n", b"\xff\xfe=1\n"])
def test_a_dot_env_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        load_settings(tmp_path / "config.json")


def test_other_values_of_json_stay_as_they_are() -> None:
    value: Any = {"a": [1, 2.5, True, None, {"b": "/*"}], "c": "//"}
    assert parsed('{"a": [1, 2.5, true, null, {"b": "/*"}], "c": "//"}') == value
