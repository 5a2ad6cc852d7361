"""Reading a configuration file: JSON, ${VAR} and ${VAR:-default}, all mistakes at once.

Nothing is connected to before the whole file is right. A mistake names its path in the file and
what would be right; the value of an environment variable is never printed.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast
from zoneinfo import available_timezones

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from utils.config import (
    IMPORT,
    Config,
    DataConfig,
    DataInS3,
    Secret,
    TargetConfig,
    defaults,
    json_name,
    json_schema,
    section_type,
)
from utils.entities import ENTITY_NAMES
from utils.error_handler import ConfigurationError
from utils.settings import commented_json
from utils.settings.sql_text import DATABASES, one_piece
from utils.wording.figures import counted
from utils.wording.invocation import again, command

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_TABLE_DEFAULTS = {
    name: default for name, default in defaults(TargetConfig).items() if name.endswith("Table")
}
_SHOWN = 100  # characters of a wrong value
_NO_NAME = re.compile(r"://|@.*[:/]|\b(password|passwd|user|host|service)\s*=", re.I)
# A host as AWS's client library takes it, the port after it, and a path without blanks.
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_ENDPOINT = re.compile(
    rf"https?://(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{{1,5}}))?"
    r"(?:/[!-\"$->@-~]*)?"
)
IN_S3 = "s3://"
_PLACE = re.compile(
    r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()-]+)+/?"  # what needs no quoting
)
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("timezone")
def _is_timezone(value: object) -> bool:
    return not isinstance(value, str) or value in available_timezones()


def _at_home(path: str) -> str:
    """The path with the home directory that it begins with; "" when there is none."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return ""


@_FORMATS.checks("path")
def _is_path(value: object) -> bool:
    """`~` and `~name` stand for the home directory of somebody whom this machine knows."""
    return not isinstance(value, str) or bool(_at_home(value))


@_FORMATS.checks("name")
def _is_name(value: object) -> bool:
    return not isinstance(value, str) or not _NO_NAME.search(value)


@_FORMATS.checks("endpoint")
def _is_endpoint(value: object) -> bool:
    found = _ENDPOINT.fullmatch(value) if isinstance(value, str) else None
    return not isinstance(value, str) or bool(found and int(found["port"] or 1) in range(1, 65536))


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read, complete and check a configuration file.

    Raises ConfigurationError that lists every mistake, each with its path in the file.
    """
    document = parse(path)
    reader = _Reader(environ)
    resolved = reader.resolve(document, "")
    mistakes = [
        *reader.missing,
        *(reader.explain(error) for error in _errors(resolved) if reader.concerns(error)),
        *_shared_tables(resolved.get("target", {})),
        *_nobody_stands_in(resolved.get("transformation", {})),
        *_sql_in_pieces(resolved),
        *_nothing_is_newer(resolved),
        *_imports_from_nowhere(resolved.get("load", {})),
        *_no_place_in_s3(resolved),
    ]
    if mistakes:
        listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
        raise ConfigurationError(
            f"{path} has {counted(len(mistakes), 'mistake')}:{listed}",
            remedy="correct the file (config.json.example shows every setting), then: " + again(),
        )
    config: Config = _build(Config, resolved)
    return _in_working_copy(config)


def _in_working_copy(config: Config) -> Config:
    """The same configuration; where the files are kept in S3, they are worked on in a directory of
    this machine."""
    data = config.data
    if not data.directory.startswith(IN_S3):
        return config
    settings = {each.name: getattr(data, each.name) for each in fields(data)}
    here = {"directory": data.working_copy, "place": data.directory.rstrip("/")}
    return replace(config, data=DataInS3(**{**settings, **here}))


def data_directory(path: Path, environ: Mapping[str, str]) -> str:
    """The data directory that a configuration file names, whatever else is or is not in it: who
    only looks needs no password. Raises ConfigurationError."""
    section = parse(path).get("data")
    named = section.get("directory") if isinstance(section, dict) else None
    if named is None:
        return DataConfig().directory
    reader = _Reader(environ)
    found = reader.resolve(named, "data.directory")
    if reader.missing or not isinstance(found, str) or not _at_home(found):
        why = " ".join(reader.missing) or "data.directory is not the name of a directory"
        raise ConfigurationError(
            f"{path}: {why}",
            remedy="correct it, or name the directory: " + again("--directory DIR"),
        )
    return _at_home(found)


def parse(path: Path) -> dict[str, Any]:
    """The JSON object in a configuration file, as it is written. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no configuration file {path}",
            remedy="copy config.json.example to config.json and fill it in, or name a file with "
            f"--config. The demonstration needs none: {command('demo')}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", remedy="make it a readable UTF-8 text file"
        ) from error
    try:
        document = commented_json.parsed(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not valid JSON: {error}",
            remedy="correct it at that place (comments are allowed; straight quotes, and no "
            "comma after the last value)",
        ) from error
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{path} must hold one JSON object", remedy="start from config.json.example"
        )
    return document


def _errors(document: dict[str, Any]) -> list[ValidationError]:
    validator = Draft202012Validator(json_schema(), format_checker=_FORMATS)
    return sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.path)))


def _shared_tables(target: Any) -> Iterator[str]:
    """The items of two entities in one table could not be told apart by what verifies them."""
    if isinstance(target, dict):
        users: dict[str, list[str]] = {}
        for setting, default in _TABLE_DEFAULTS.items():
            users.setdefault(str(target.get(setting, default)), []).append(setting)
        for table, settings in users.items():
            if len(settings) > 1:
                listed = " and ".join(f"target.{setting}" for setting in settings)
                yield f"{listed}: both are {table}; each entity needs a table of its own"


def _nobody_stands_in(transformation: Any) -> Iterator[str]:
    if isinstance(transformation, dict) and transformation.get("missingParty") == "placeholder":
        parties = [transformation.get(f"placeholder{kind}") for kind in ("Buyer", "Producer")]
        if not any(isinstance(party, dict) and party.get("id") is not None for party in parties):
            yield (
                "transformation.missingParty: there is no placeholder: set placeholderBuyer.id "
                "or placeholderProducer.id, the key of a party of S9"
            )


def _sql_in_pieces(document: Mapping[str, Any]) -> Iterator[str]:
    """SQL that is more, or less, than one SELECT or one condition; what is whole loses its closing
    semicolons, so that it can stand in brackets."""
    source, extraction = document.get("source", {}), document.get("extraction", {})
    database = source.get("type", DATABASES[0]) if isinstance(source, dict) else ""
    if database not in DATABASES or not isinstance(extraction, dict):
        return
    for entity in ENTITY_NAMES:
        chosen = extraction.get(entity)
        settings: dict[str, Any] = chosen if isinstance(chosen, dict) else {}
        for name in ("query", "where"):
            if isinstance(sql := settings.get(name), str):
                try:
                    settings[name] = one_piece(sql, database).strip()
                except ValueError as error:
                    yield f"extraction.{entity}.{name}: {error}"


def _nothing_is_newer(document: dict[str, Any]) -> Iterator[str]:
    sections = document.get("transformation"), document.get("load")
    transformation, load = (each if isinstance(each, dict) else {} for each in sections)
    if transformation.get("updatedAt") == "migration" and load.get("onConflict") == "newer":
        yield (
            "load.onConflict: newer goes by updatedAt, which transformation.updatedAt: migration "
            "makes the same for every item: choose fail, skip or overwrite"
        )


def _imports_from_nowhere(load: Any) -> Iterator[str]:
    given: dict[str, Any] = load if isinstance(load, dict) else {}
    s3 = given.get("s3")
    if given.get("method") == IMPORT and not (isinstance(s3, dict) and s3.get("bucket")):
        yield "load.s3.bucket: load.method import needs a bucket in S3, in the region of the tables"


def _no_place_in_s3(document: Mapping[str, Any]) -> Iterator[str]:
    """Files that are to be kept in S3, in no place that there is; or some of them elsewhere."""
    sections = document.get("data"), document.get("backup")
    data, backup = (each if isinstance(each, dict) else {} for each in sections)
    directory = data.get("directory")
    if not isinstance(directory, str) or not directory.startswith(IN_S3):
        return
    if not _PLACE.fullmatch(directory):
        yield (
            "data.directory: a place in S3 is s3://bucket/prefix: the name of a bucket, and below "
            "which names the files get a place of their own (letters, digits, ! _ . * ' ( ) -)"
        )
    if backup.get("directory") is not None:
        yield (
            "backup.directory: with data.directory in S3, backups are kept there with the other "
            "files: leave it out"
        )
    if str(data.get("workingCopy", "")).startswith(IN_S3):
        yield "data.workingCopy: names a directory of this machine, not a place in S3"


class _Reader:
    """Resolves variables, and remembers which values came from the environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._origins: dict[str, str] = {}
        self.missing: list[str] = []
        self._missing_paths: set[str] = set()

    def resolve(self, value: Any, path: str) -> Any:
        """The value with its variables replaced; what is missing is collected."""
        if isinstance(value, dict):
            return {
                key: self.resolve(inner, f"{path}.{key}" if path else key)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.resolve(inner, f"{path}[{n}]") for n, inner in enumerate(value)]
        if isinstance(value, str) and _VARIABLE.search(value):
            self._origins[path] = value
            return self._converted(_VARIABLE.sub(lambda m: self._lookup(m, path), value), path)
        return value

    def _lookup(self, match: re.Match[str], path: str) -> str:
        name, default = match.groups()
        found = self._environ.get(name)
        if found is None or (found == "" and default is not None):
            found = default
        if found is None:
            return self._without(path, name, "is not set: set it, or put it in .env")
        if commented_json.IN_NO_TEXT.search(found):
            return self._without(path, name, "is not UTF-8 text")
        return found

    def _without(self, path: str, name: str, why: str) -> str:
        self.missing.append(f"{path}: the environment variable {name} {why}")
        self._missing_paths.add(path)
        return ""

    @staticmethod
    def _converted(text: str, path: str) -> Any:
        """Environment variables are texts: give numbers, flags and nothing their JSON type."""
        kinds = _kinds_at(path)
        if "boolean" in kinds and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        if "number" in kinds and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]+)?", text):
            return float(text)
        if "null" in kinds and text == "":
            return None
        return text

    def concerns(self, error: ValidationError) -> bool:
        """Whether an error is more than the consequence of a missing variable."""
        return _dotted(error) not in self._missing_paths

    def explain(self, error: ValidationError) -> str:
        """One line for an operator: path, what is wrong, what would be right."""
        path = _dotted(error)
        where = path or "(top level)"
        if error.validator == "additionalProperties":
            return _unknown_keys(error, path)
        return f"{where}: {self._shown(path, error.instance)} {_expectation(error)}"

    def _shown(self, path: str, value: Any) -> str:
        if path in self._origins:
            return f"the value of {self._origins[path]}"
        if _is_secret(path) or _NO_NAME.search(str(value)):
            return "the value"
        shown = json.dumps(value, ensure_ascii=False)
        return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _is_secret(path: str, kind: type = Config) -> bool:
    """Whether the setting at a path (or what it belongs to) is declared as a Secret."""
    head, _, rest = path.partition(".")
    for declared in fields(kind):
        if json_name(declared.name) == head:
            inner = section_type(kind, declared.name)
            return _is_secret(rest, inner) if inner else isinstance(declared.default, Secret)
    return False


def _kinds_at(path: str) -> set[str]:
    schema: dict[str, Any] = json_schema()
    for part in path.split("."):
        schema = schema.get("properties", {}).get(part, {})
    return _kinds(schema)


def _kinds(schema: dict[str, Any]) -> set[str]:
    kinds: set[str] = set()
    for option in [schema, *schema.get("anyOf", [])]:
        declared = option.get("type", [])
        kinds.update([declared] if isinstance(declared, str) else declared)
    return kinds


def _dotted(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _unknown_keys(error: ValidationError, path: str) -> str:
    known = sorted(cast(dict[str, Any], error.schema)["properties"])
    keys = cast(dict[str, Any], error.instance)
    return "; ".join(_unknown_key(key, path, known) for key in keys if key not in known)


def _unknown_key(key: str, path: str, known: list[str]) -> str:
    full = f"{path}.{key}" if path else key
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), lowered, n=1, cutoff=0.5)
    hint = f'did you mean "{lowered[close[0]]}"?' if close else f"known here: {', '.join(known)}"
    return f"{full}: there is no such setting; {hint}"


_FORMAT_WORDS = {
    "timezone": "is not a time zone that this machine knows, such as Europe/Rome",
    "endpoint": "is not the URL of a server, http://HOST:PORT or https://HOST, optionally with a "
    "path after it: a host's name has letters, digits, dots and - (no _), a port is 1 to 65535, "
    "and no user or password belongs there",
    "path": "begins with a home directory that this machine does not know",
    "name": "is a URL or a list of settings, not a name: write host, port, username and password "
    "into their own settings, the password as ${S9_PASSWORD}",
}


def _expectation(error: ValidationError) -> str:
    limit: Any = error.validator_value
    schema = cast(dict[str, Any], error.schema)
    sentences = {
        "type": f"must be {_type_words(limit)}",
        "enum": f"must be one of {', '.join(map(str, limit)) if error.validator == 'enum' else ''}",
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
        "minLength": "must not be empty",
        "format": _FORMAT_WORDS.get(str(limit), ""),
    }
    described = f"does not fit: {schema.get('description', 'see config.json.example')}"
    return sentences.get(str(error.validator), described)


def _type_words(kinds: object) -> str:
    names = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text",
        "null": "null",
        "object": "an object {…}",
    }
    listed = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    return " or ".join(names.get(str(kind), str(kind)) for kind in listed)


def _build(kind: type, document: Mapping[str, Any]) -> Any:
    """The typed object of a document that the schema has accepted."""
    return kind(**dict(_arguments(kind, document)))


def _arguments(kind: type, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for declared in fields(kind):
        name = json_name(declared.name)
        if name not in document:
            continue
        value = document[name]
        inner = section_type(kind, declared.name)
        if inner:
            yield declared.name, _build(inner, value)
        elif isinstance(declared.default, Secret):
            yield declared.name, Secret(value)
        elif isinstance(value, list):
            yield declared.name, tuple(value)
        elif isinstance(value, float) and "number" not in _kinds(declared.metadata["schema"]):
            yield declared.name, int(value)  # 4.0 is a whole number in JSON
        elif isinstance(value, str) and declared.metadata["schema"].get("format") == "path":
            yield declared.name, _at_home(value)
        else:
            yield declared.name, value
