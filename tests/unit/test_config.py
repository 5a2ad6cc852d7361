"""The configuration: everything an operator can get wrong is said at once, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT
from utils.config import Config, Secret, defaults, json_schema
from utils.error_handler import ConfigurationError, ExitCode
from utils.settings.config_file import load_config


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "config.json"
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(tmp_path: Path, document: Any, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_config(written(tmp_path, document), environ or {})
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.remedy
    return caught.value.message


def test_the_example_is_complete_and_every_value_in_it_is_accepted() -> None:
    example = json.loads((ROOT / "config.json.example").read_text(encoding="utf-8"))
    environ = {"S9_PASSWORD": "planted"}
    assert load_config(ROOT / "config.json.example", environ).source.password == "planted"

    def names(document: Any) -> Any:
        inner = document.items() if isinstance(document, dict) else ()
        return {key: names(value) for key, value in inner}

    expected = names(defaults())
    given = names(example)
    for open_map in ("userMapping", "statusMapping"):
        given["transformation"][open_map] = {}
    assert given == expected


def test_an_empty_file_is_every_default(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, {}), {}) == Config()


def test_only_what_differs_need_be_there(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, {"migration": {"batchSize": 10}}), {})
    assert config.migration.batch_size == 10
    assert config.migration.workers == Config().migration.workers


def test_all_mistakes_are_reported_together_with_their_paths(tmp_path: Path) -> None:
    message = mistakes(
        tmp_path,
        {
            "source": {"port": "five", "timezone": "Europe/Roma"},
            "migration": {"batchSize": 26},
            "target": {"salesTable": "a b"},
        },
    )
    assert "4 mistakes" in message
    for path in ("source.port", "source.timezone", "migration.batchSize", "target.salesTable"):
        assert f"- {path}: " in message


@pytest.mark.parametrize(
    ("document", "suggestion"),
    [
        ({"migraton": {}}, 'migraton: there is no such setting; did you mean "migration"?'),
        ({"source": {"hots": "x"}}, 'source.hots: there is no such setting; did you mean "host"?'),
        ({"target": {"uselocalstack": True}}, 'did you mean "useLocalStack"?'),
    ],
)
def test_an_unknown_key_is_a_mistake_with_a_suggestion(
    tmp_path: Path, document: Any, suggestion: str
) -> None:
    assert suggestion in mistakes(tmp_path, document)


def test_a_missing_variable_is_named_and_nothing_else_is_said_of_it(tmp_path: Path) -> None:
    message = mistakes(tmp_path, {"source": {"port": "${S9_PORT}"}})
    assert message.count("\n") == 1
    assert "the environment variable S9_PORT is not set" in message


def test_the_value_of_a_variable_is_never_printed(tmp_path: Path) -> None:
    document = {"source": {"port": "${S9_PORT}", "type": "${S9_TYPE}"}}
    message = mistakes(tmp_path, document, {"S9_PORT": "hunter2", "S9_TYPE": "hunter3"})
    assert "${S9_PORT}" in message
    assert "hunter" not in message


def test_a_literal_password_of_the_wrong_type_is_not_printed(tmp_path: Path) -> None:
    assert "20111" not in mistakes(tmp_path, {"source": {"password": 20111}})


@pytest.mark.parametrize("recipient", ["AGE-SECRET-KEY-1PLANTED", ["AGE-SECRET-KEY-1PLANTED"]])
def test_a_secret_key_in_the_place_of_a_public_one_is_not_printed(
    tmp_path: Path, recipient: Any
) -> None:
    message = mistakes(tmp_path, {"backup": {"recipient": recipient}})
    assert "does not fit: age public key" in message
    assert "PLANTED" not in message


@pytest.mark.parametrize("recipient", [None, "age1abc", ["age1abc", "ssh-ed25519 AAAA me"]])
def test_recipients_are_none_one_or_several(tmp_path: Path, recipient: Any) -> None:
    config = load_config(written(tmp_path, {"backup": {"recipient": recipient}}), {})
    given = config.backup.recipient
    assert given == (tuple(recipient) if isinstance(recipient, list) else recipient)


def test_the_password_does_not_show_in_the_configuration(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, {"source": {"password": "${P}"}}), {"P": "hunter2"})
    assert isinstance(config.source.password, Secret)
    assert "hunter2" not in repr(config)
    assert config.source.password == "hunter2"


@pytest.mark.parametrize(
    ("text", "environ", "port"),
    [
        ("${S9_PORT}", {"S9_PORT": "6000"}, 6000),
        ("${S9_PORT:-6001}", {}, 6001),
        ("${S9_PORT:-6001}", {"S9_PORT": ""}, 6001),
        ("${S9_PORT:-6001}", {"S9_PORT": "6002"}, 6002),
    ],
)
def test_variables_give_numbers_where_numbers_are_meant(
    tmp_path: Path, text: str, environ: dict[str, str], port: int
) -> None:
    assert load_config(written(tmp_path, {"source": {"port": text}}), environ).source.port == port


def test_variables_give_flags_and_nothing(tmp_path: Path) -> None:
    document = {
        "source": {"ssl": "${SSL}"},
        "target": {"useLocalStack": "${LS:-true}", "endpoint": "${EP:-}"},
    }
    config = load_config(written(tmp_path, document), {"SSL": "require"})
    assert (config.source.ssl, config.target.use_local_stack, config.target.endpoint) == (
        "require",
        True,
        None,
    )


@pytest.mark.parametrize("text", ["{", '{"source": {},}', "[]", '"x"', ""])
def test_a_file_that_is_not_one_json_object_is_refused(tmp_path: Path, text: str) -> None:
    assert "JSON" in mistakes(tmp_path, text)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "\ufeff{}"), {}) == Config()


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    assert '"source" stands twice' in mistakes(tmp_path, '{"source": {}, "source": {}}')


def test_a_missing_file_says_where_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(tmp_path / "none.json", {})
    assert "config.json.example" in caught.value.remedy


def test_localstack_needs_no_more_than_its_flag(tmp_path: Path) -> None:
    target = load_config(written(tmp_path, {"target": {"useLocalStack": True}}), {}).target
    assert target.endpoint_url == "http://localhost:4566"
    assert target.creates_tables
    refuses = {"target": {"useLocalStack": True, "createTables": False}}
    assert not load_config(written(tmp_path, refuses), {}).target.creates_tables


def test_every_setting_says_what_it_is_for() -> None:
    def leaves(schema: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for inner in schema["properties"].values():
            found += leaves(inner) if "properties" in inner else [inner]
        return found

    assert all(leaf["description"] for leaf in leaves(json_schema()))


def test_a_placeholder_needs_somebody_who_stands_in(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"missingParty": "placeholder"}
    message = mistakes(tmp_path, {"transformation": asked})
    assert "placeholderBuyer.id" in message
    asked["placeholderProducer"] = {"id": 900}
    config = load_config(written(tmp_path, {"transformation": asked}), {})
    assert config.transformation.placeholder_producer.id == 900
    assert config.transformation.placeholder_buyer.id is None
